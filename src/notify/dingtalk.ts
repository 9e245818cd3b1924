import { createHmac } from "node:crypto";
import type { Channel, Outcome } from "../core/delivery.ts";
import { defineChannel } from "./contract.ts";
import { fitRows, type Rendered, type RenderedLink, type RenderedRow } from "./render.ts";
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

/** Longer bodies are refused with 460101: github.com/timonwong/prometheus-webhook-dingtalk/issues/30. */
const maxBytes = 20_000;

/** A robot past 20 messages a minute is blocked for ten minutes: open.dingtalk.com/document/robots/custom-robot-access. */
const blockedMs = 10 * 60_000;

/** What a refusal means in words that say what to do. */
const hints: Readonly<Record<number, string>> = {
  300001: "the access_token in webhook_url is wrong or the robot was removed",
  460101: "the message is too long",
  101002: "the message is too long",
  90030: "the quota of messages by webhook is used up",
};

/** The signature in the query: key `secret`, message `<milliseconds>\n<secret>`; not yet URL-encoded. */
export function dingtalkSign(timestampMs: string, secret: string): string {
  return createHmac("sha256", secret).update(`${timestampMs}\n${secret}`).digest("base64");
}

/** The robot's address with the signature of this moment. */
export function dingtalkUrl({ webhook_url, secret }: RobotSettings, nowMs: number): string {
  const url = new URL(webhook_url.reveal());
  if (secret === undefined) return url.href;
  url.searchParams.set("timestamp", String(nowMs));
  url.searchParams.set("sign", dingtalkSign(String(nowMs), secret.reveal()));
  return url.href;
}

/** 310000 is any of the security settings; its text tells which. */
function securityHint(said: string, reply: RobotReply): string {
  if (/sign|timestamp|签名|时间戳/i.test(said)) return clockHint(reply);
  if (/keyword|关键词/i.test(said)) return "; the robot demands a keyword; set keyword";
  return /\bip\b/i.test(said) ? "; this node's address is not in the robot's allow-list" : "";
}

/** Reads what DingTalk answered: always HTTP 200, the errcode decides; null when there is none. */
export function readDingtalkReply(reply: RobotReply): Outcome | null {
  const { errcode } = reply.json;
  if (typeof errcode !== "number") return null;
  if (errcode === 0) return { outcome: "sent", code: "0" };
  const code = String(errcode);
  const said = replyText(reply.json, "errmsg");
  if (errcode === 130101) return { outcome: "retry", code, reason: said, retryAfterMs: blockedMs };
  // -1 is "system busy" in every DingTalk API.
  if (errcode === -1) return { outcome: "retry", code, reason: said };
  const hint = hints[errcode];
  const more =
    errcode === 310000 ? securityHint(said, reply) : hint === undefined ? "" : `; ${hint}`;
  return { outcome: "refused", code, reason: said + more };
}

/** Keeps a value on its line and its brackets and tags from becoming links or markup. */
function escapeMarkdown(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .replaceAll("](", "] (")
    .replaceAll(/<(?=[a-z/!])/gi, "＜");
}

/** What a message shows, whatever it tells of. */
export interface DingtalkMessage {
  readonly title: string;
  /** Markdown; what is somebody else's in it is escaped. */
  readonly parts: readonly string[];
  readonly buttons: readonly RenderedLink[];
  readonly mention: Mention;
}

/** Links of markdown: nothing in an address ends it. */
function linkText({ label, url }: RenderedLink): string {
  return `[${label}](${url.replaceAll("(", "%28").replaceAll(")", "%29")})`;
}

/**
 * A card with buttons, or markdown where somebody is to be called: a card calls nobody. A call works only when it stands
 * in the text too.
 */
export function dingtalkMessage({ title, parts, buttons, mention }: DingtalkMessage): object {
  const called = [...mention.mobiles, ...mention.user_ids].map((name) => `@${name}`);
  const text = (...more: readonly string[]): string =>
    [`### ${escapeMarkdown(title)}`, ...parts, ...more].filter((part) => part !== "").join("\n\n");
  if (buttons.length > 0 && called.length === 0 && !mention.all)
    return {
      msgtype: "actionCard",
      actionCard: {
        title,
        text: text(),
        btnOrientation: "0",
        btns: buttons.map(({ label, url }) => ({ title: label, actionURL: url })),
      },
    };
  return {
    msgtype: "markdown",
    markdown: { title, text: text(buttons.map(linkText).join(" · "), called.join(" ")) },
    at: { atMobiles: mention.mobiles, atUserIds: mention.user_ids, isAtAll: mention.all },
  };
}

function rowLine({ label, value }: RenderedRow, { colon }: Rendered["words"]): string {
  return label === ""
    ? `${escapeMarkdown(value)}\n`
    : `- **${label}**${colon}${escapeMarkdown(value)}`;
}

/** The whole body of one message: a card when there is something to do about it, else markdown with links. */
export function dingtalkBody(rendered: Rendered, settings: RobotSettings): string {
  const title = withKeyword(rendered.title, settings.keyword);
  const mention = mentionFor(settings, rendered.tone);
  const { words, actions, links } = rendered;
  const isCard = actions.length > 0;
  const linked = isCard ? "" : links.map(linkText).join(" · ");
  return fitRows(rendered, maxBytes, (rows) => {
    const text = rows.map((row) => rowLine(row, words)).join("\n");
    const buttons = isCard ? [...actions, ...links] : [];
    return JSON.stringify(dingtalkMessage({ title, parts: [text, linked], buttons, mention }));
  });
}

/** DingTalk custom robots, by cards with buttons and by markdown. */
export const dingtalk = defineChannel<RobotSettings>({
  type: "dingtalk",
  doc: "A DingTalk group by its custom robot: markdown, or cards with buttons; people called by mobile or user id.",
  settings: robotSettings,
  fromFile: ["webhook_url", "secret"],
  example: {
    type: "dingtalk",
    webhook_url: "https://oapi.dingtalk.com/robot/send?access_token=0000000000000000",
    enabled: true,
  },
  // The service's 20 a minute less a margin, because a breach costs ten minutes.
  limits: [{ count: 18, perMs: 60_000 }],
  maxBytes,
  robot: robotOf,
  warnings: robotWarnings,
  reach: reachRobot,
  create: (settings, deps): Channel => {
    const post = createRobotPost(deps, readDingtalkReply);
    return createTextChannel(deps, (rendered, messageId, signal) =>
      post({
        url: dingtalkUrl(settings, deps.clock.now()),
        body: dingtalkBody(rendered, settings),
        signal,
        messageId,
      }),
    );
  },
});
