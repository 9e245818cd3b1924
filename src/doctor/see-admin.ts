import type { NodeIdentity } from "../core/node.ts";
import type { Clock } from "../core/ports.ts";
import { readReply } from "../admin/answer.ts";
import { adminHeaders, adminRedactor, ask, endpointUrl } from "../admin/request.ts";
import { understand, type Understood } from "../admin/understand.ts";
import { serverMs, type HttpClient } from "../base/http.ts";
import type { Config } from "../config/settings.ts";
import { adminSettings } from "../admin-link.ts";
import { parseForeignDocument } from "../settings.ts";

/** What the admin server said, understood as the agent understands it. */
export type AdminSight =
  | { readonly kind: "off" }
  | { readonly kind: "silent"; readonly reason: string }
  | {
      readonly kind: "answered";
      readonly understood: Understood;
      /** How far its clock is ahead of ours, by its Date header; null without one. */
      readonly aheadMs: number | null;
    };

export interface AskAdminDeps {
  readonly config: Config;
  readonly node: NodeIdentity;
  readonly http: HttpClient;
  readonly clock: Clock;
}

/** Asks for this node's configuration once, as the agent itself would. */
export async function askAdmin({ config, node, http, clock }: AskAdminDeps): Promise<AdminSight> {
  const settings = adminSettings(config.admin);
  if (settings === null) return { kind: "off" };
  const { token } = settings;
  const redactor = adminRedactor(settings);
  const url = endpointUrl(settings.baseUrl, settings.configEndpoint);
  const headers = adminHeaders(node, token);
  const never = new AbortController().signal;
  const asked = await ask({ http, clock }, { method: "GET", url, headers }, never);
  if (!asked.ok) return { kind: "silent", reason: redactor.redact(asked.reason) };
  const nowMs = clock.now();
  const question = { nowMs, ip: node.ip, withToken: token !== null, withEtag: false };
  const understood = understand(readReply(asked.reply, question), parseForeignDocument);
  const itsMs = serverMs(asked.reply.headers);
  return {
    kind: "answered",
    understood:
      "reason" in understood
        ? { ...understood, reason: redactor.redact(understood.reason) }
        : understood,
    aheadMs: itsMs === null ? null : itsMs - nowMs,
  };
}
