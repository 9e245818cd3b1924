import { createHmac } from "node:crypto";
import type { Channel, Outcome } from "../core/delivery.ts";
import { defineChannel } from "./contract.ts";
import {
  fitRows,
  rowText,
  type Rendered,
  type RenderedLink,
  type RenderedRow,
  type Tone,
} from "./render.ts";
import { createTextChannel } from "./text-channel.ts";
import {
  clockHint,
  createRobotPost,
  mentionFor,
  reachRobot,
  replyText,
  robotOf,
  robotSettings,
  robotWarnings,
  withKeyword,
  type Mention,
  type RobotReply,
  type RobotSettings,
} from "./robot.ts";

/** "The request body cannot exceed 20 KB": open.feishu.cn/document/client-docs/bot-v3/add-custom-bot. */
const maxBytes = 20_000;

const colours: Readonly<Record<Tone, string>> = {
  critical: "red",
  warning: "orange",
  info: "blue",
  resolved: "green",
};

/** The frequency limit, of the bot (5 a second, 100 a minute) or of a service that is busy at a full or half hour. */
const frequencyCode = 11232;

/** By then the second of the limit is over; a try that comes too soon costs nothing but another wait. */
const heldMs = 10_000;

/** What a refusal means in words that say what to do. */
const hints: Readonly<Record<number, string>> = {
  19001: "the webhook_url is wrong or the robot was removed",
  19022: "this node's address is not in the robot's allow-list",
  19024: "the robot demands a keyword; set keyword",
};

/** The signature in the body: key `<seconds>\n<secret>`, empty message. */
export function feishuSign(timestampSeconds: string, secret: string): string {
  return createHmac("sha256", `${timestampSeconds}\n${secret}`).digest("base64");
}

function codeOf(json: RobotReply["json"]): number | null {
  for (const member of ["code", "StatusCode"]) {
    const code = json[member];
    if (typeof code === "number") return code;
  }
  return null;
}

/** Reads what Feishu answered: the code decides, whatever the HTTP status; null when there is none. */
export function readFeishuReply(reply: RobotReply): Outcome | null {
  const code = codeOf(reply.json);
  if (code === null) return null;
  if (code === 0) return { outcome: "sent", code: "0" };
  const said = replyText(reply.json, "msg", "StatusMessage");
  // 9499 is both "Bad Request" (malformed) and "too many request" (throttled).
  const throttled = code === frequencyCode || (code === 9499 && /too many request/i.test(said));
  if (throttled)
    return { outcome: "retry", code: String(code), reason: said, retryAfterMs: heldMs };
  const hint = hints[code];
  const more = code === 19021 ? clockHint(reply) : hint === undefined ? "" : `; ${hint}`;
  return { outcome: "refused", code: String(code), reason: said + more };
}

/** What a card shows, whatever it tells of. */
export interface FeishuCard {
  readonly title: string;
  readonly tone: Tone;
  /** Texts of anybody: nothing in them calls people or is a link. */
  readonly texts: readonly string[];
  readonly buttons: readonly RenderedLink[];
  /** Whether the first button stands out. */
  readonly isFirstMain: boolean;
  readonly mention: Mention;
}

/** A link to press: open.feishu.cn/document/feishu-cards/card-json-v2-components/interactive-components/button. */
function button({ label, url }: RenderedLink, isMain: boolean): object {
  return {
    tag: "button",
    text: { tag: "plain_text", content: label },
    type: isMain ? "primary" : "default",
    width: "fill",
    behaviors: [{ type: "open_url", default_url: url }],
  };
}

function plain(content: string, size: "normal" | "notation" = "normal"): object {
  return { tag: "div", text: { tag: "plain_text", content, text_size: size } };
}

/**
 * A card of schema 2.0. What comes from outside is `plain_text`, so that nobody's label can call everybody or fake a
 * link; only calls are markdown, of ids the settings allow.
 */
export function feishuCard({
  title,
  tone,
  texts,
  buttons,
  isFirstMain,
  mention,
}: FeishuCard): object {
  const ids = mention.all ? ["all", ...mention.user_ids] : mention.user_ids;
  const calls = ids.map((id) => `<at id=${id}></at>`).join("");
  return {
    schema: "2.0",
    config: { width_mode: "fill" },
    header: { title: { tag: "plain_text", content: title }, template: colours[tone] },
    body: {
      elements: [
        ...texts.map((text) => plain(text)),
        ...(calls === "" ? [] : [{ tag: "markdown", content: calls }]),
        ...buttons.map((link, at) => button(link, isFirstMain && at === 0)),
        plain("TargetVPC", "notation"),
      ],
    },
  };
}

/** The whole body of one message, signed for the given time when the robot has a secret. */
export function feishuBody(rendered: Rendered, settings: RobotSettings, nowMs: number): string {
  const title = withKeyword(rendered.title, settings.keyword);
  const { tone, links, actions, words } = rendered;
  const mention = mentionFor(settings, tone);
  const isFirstMain = actions.length > 0;
  const build = (rows: readonly RenderedRow[]): object => {
    const text = rows.map((row) => rowText(row, words)).join("\n");
    return feishuCard({
      title,
      tone,
      texts: [text],
      buttons: [...actions, ...links],
      isFirstMain,
      mention,
    });
  };
  const timestamp = String(Math.floor(nowMs / 1_000));
  const signed =
    settings.secret === undefined
      ? {}
      : { timestamp, sign: feishuSign(timestamp, settings.secret.reveal()) };
  return fitRows(rendered, maxBytes, (rows) =>
    JSON.stringify({ ...signed, msg_type: "interactive", card: build(rows) }),
  );
}

function warnings(settings: RobotSettings): string[] {
  const mobiles = settings.mention?.mobiles ?? [];
  return [
    ...robotWarnings(settings),
    ...(mobiles.length > 0
      ? ["mention.mobiles: Feishu calls people by user_ids only; the mobiles have no effect"]
      : []),
  ];
}

/** Feishu and Lark custom bots, by interactive cards. */
export const feishu = defineChannel<RobotSettings>({
  type: "feishu",
  doc: "A Feishu or Lark group by its custom bot: cards with buttons, coloured by level.",
  settings: robotSettings,
  fromFile: ["webhook_url", "secret"],
  example: {
    type: "feishu",
    webhook_url:
      "https://open.feishu.cn/open-apis/bot/v2/hook/00000000-0000-0000-0000-000000000000",
    enabled: true,
  },
  // 100 a minute and 5 a second: open.feishu.cn/document/client-docs/bot-v3/add-custom-bot.
  limits: [
    { count: 100, perMs: 60_000 },
    { count: 5, perMs: 1_000 },
  ],
  maxBytes,
  robot: robotOf,
  warnings,
  reach: reachRobot,
  create: (settings, deps): Channel => {
    const post = createRobotPost(deps, readFeishuReply);
    return createTextChannel(deps, (rendered, messageId, signal) =>
      post({
        url: settings.webhook_url.reveal(),
        body: feishuBody(rendered, settings, deps.clock.now()),
        signal,
        messageId,
      }),
    );
  },
});
