import { alertmanager } from "./alertmanager.ts";
import type { AnyChannelPlugin } from "./contract.ts";
import { dingtalk } from "./dingtalk.ts";
import { email } from "./email.ts";
import { feishu } from "./feishu.ts";
import { slack } from "./slack.ts";
import { webhook } from "./webhook.ts";
import { wecom } from "./wecom.ts";

/** Every channel there is; settings, docs and contract tests follow from this list. */
export const channelPlugins: readonly AnyChannelPlugin[] = [
  feishu,
  dingtalk,
  wecom,
  slack,
  email,
  webhook,
  alertmanager,
];
