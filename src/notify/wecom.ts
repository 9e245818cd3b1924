import * as v from "valibot";
import type { Channel, Outcome } from "../core/delivery.ts";
import { truncateBytes } from "../base/text.ts";
import { defineChannel } from "./contract.ts";
import { fitRows, type Rendered, type RenderedRow, type Tone } from "./render.ts";
import { createTextChannel } from "./text-channel.ts";
import {
  createRobotPost,
  hookSettings,
  mentionFor,
  reachRobot,
  replyText,
  robotOf,
  robotWarnings,
  type HookSettings,
  type Mention,
  type RobotReply,
} from "./robot.ts";

/**
 * Bytes of the content of markdown and of text: developer.work.weixin.qq.com/document/path/91770. Longer ones are
 * refused with 40058: github.com/dromara/domain-admin/issues/82.
 */
const maxMarkdownBytes = 4_096;
const maxTextBytes = 2_048;

/** User ids are called inside the content, so they must leave room for what is to be said. */
const maxMentionBytes = 1_024;

/** A title stays whole but for names of absurd length, whatever escaping makes of it. */
const maxTitleBytes = 600;

/** 45009 counts by the minute, so a minute later the robot may speak again. */
const heldMs = 60_000;

/** The only three colours markdown of WeCom has: green, grey and orange. */
const colours: Readonly<Record<Tone, string>> = {
  critical: "warning",
  warning: "warning",
  info: "comment",
  resolved: "info",
};

/** What a refusal means in words that say what to do: developer.work.weixin.qq.com/document/path/90313. */
const hints: Readonly<Record<number, string>> = {
  93000: "the key in webhook_url is wrong or the robot was removed",
  40058: "the message is too long or not well-formed",
  45002: "the message is too long",
};

/** Reads what WeCom answered: always HTTP 200, the errcode decides; null when there is none. */
export function readWecomReply({ json }: RobotReply): Outcome | null {
  const { errcode } = json;
  if (typeof errcode !== "number") return null;
  if (errcode === 0) return { outcome: "sent", code: "0" };
  const code = String(errcode);
  const said = replyText(json, "errmsg");
  if (errcode === 45009) return { outcome: "retry", code, reason: said, retryAfterMs: heldMs };
  // -1 is "system busy" in every WeCom API.
  if (errcode === -1) return { outcome: "retry", code, reason: said };
  const hint = hints[errcode];
  return { outcome: "refused", code, reason: hint === undefined ? said : `${said}; ${hint}` };
}

/** Keeps a value on its line, and its brackets and tags from becoming calls, links or colours. */
function escapeContent(text: string): string {
  return text
    .replaceAll(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .replaceAll("](", "] (")
    .replaceAll("<", "＜");
}

interface Layout {
  readonly maxBytes: number;
  title(text: string): string;
  row(row: RenderedRow): string;
  link(label: string, url: string): string;
  /** What stands at the end to call people; empty when they are called outside the content. */
  readonly calls: string;
}

/** The share of a message that links may have; the rest is for what happened. */
const maxLinkShare = 0.6;

/** The links of a message that there is room for, the most useful ones first: half a link is none. */
function linksWithin({ actions: [main, ...others], links }: Rendered, layout: Layout): string {
  const kept: string[] = [];
  let room = layout.maxBytes * maxLinkShare;
  for (const { label, url } of [...(main === undefined ? [] : [main]), ...links, ...others]) {
    const text = layout.link(label, url);
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > room) continue;
    room -= bytes;
    kept.push(text);
  }
  return kept.join("\n");
}

/** The content with its links, or without them where they leave no room. */
function fitContent(rendered: Rendered, layout: Layout): string {
  const title = layout.title(truncateBytes(escapeContent(rendered.title), maxTitleBytes));
  const build = (links: string) => (rows: readonly RenderedRow[]) =>
    [title, rows.map((row) => layout.row(row)).join("\n"), links, layout.calls]
      .filter((part) => part !== "")
      .join("\n");
  const links = linksWithin(rendered, layout);
  const whole = fitRows(rendered, layout.maxBytes, build(links));
  return Buffer.byteLength(whole) <= layout.maxBytes
    ? whole
    : fitRows(rendered, layout.maxBytes, build(""));
}

function markdownBody(rendered: Rendered, { user_ids }: Mention): string {
  const { colon } = rendered.words;
  const content = fitContent(rendered, {
    maxBytes: maxMarkdownBytes,
    title: (text) => `**<font color="${colours[rendered.tone]}">${text}</font>**`,
    row: ({ label, value }) => (label === "" ? "" : `> ${label}${colon}`) + escapeContent(value),
    link: (label, url) =>
      `[${label}](${url.replaceAll("(", "%28").replaceAll(")", "%29").replaceAll("<", "%3C")})`,
    calls: user_ids.map((id) => `<@${id}>`).join(""),
  });
  return JSON.stringify({ msgtype: "markdown", markdown: { content } });
}

function textBody(rendered: Rendered, { mobiles, user_ids, all }: Mention): string {
  const { colon } = rendered.words;
  const content = fitContent(rendered, {
    maxBytes: maxTextBytes,
    title: (text) => text,
    row: ({ label, value }) => (label === "" ? "" : `${label}${colon}`) + escapeContent(value),
    link: (label, url) => `${label}${colon}${url}`,
    calls: "",
  });
  const everybody = all ? ["@all"] : [];
  const text = {
    content,
    mentioned_list: [...user_ids, ...everybody],
    mentioned_mobile_list: mobiles,
  };
  return JSON.stringify({ msgtype: "text", text });
}

/** The whole body of one message: text when mobiles or all are to be called, which markdown cannot, else markdown. */
export function wecomBody(rendered: Rendered, settings: HookSettings): string {
  const mention = mentionFor(settings, rendered.tone);
  return mention.all || mention.mobiles.length > 0
    ? textBody(rendered, mention)
    : markdownBody(rendered, mention);
}

function mentionsFit({ mention }: HookSettings): boolean {
  return (
    Buffer.byteLength((mention?.user_ids ?? []).map((id) => `<@${id}>`).join("")) <= maxMentionBytes
  );
}

const settings = v.pipe(
  hookSettings,
  v.forward(
    v.check(
      mentionsFit,
      `expected user_ids that have ${maxMentionBytes} bytes together, three more for each; use "all" for everybody`,
    ),
    ["mention"],
  ),
);

/** WeCom group robots, by markdown, or by text where somebody is called whom markdown cannot call. */
export const wecom = defineChannel<HookSettings>({
  type: "wecom",
  doc: "A WeCom group by its robot: markdown, or text where mobiles or all are called.",
  settings,
  fromFile: ["webhook_url"],
  example: {
    type: "wecom",
    webhook_url:
      "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=00000000-0000-0000-0000-000000000000",
    enabled: true,
  },
  // The service's 20 a minute (document/path/91770) less a margin for other senders' clocks.
  limits: [{ count: 18, perMs: 60_000 }],
  maxBytes: maxMarkdownBytes,
  robot: robotOf,
  warnings: robotWarnings,
  reach: reachRobot,
  create: (own, deps): Channel => {
    const post = createRobotPost(deps, readWecomReply);
    return createTextChannel(deps, (rendered, messageId, signal) =>
      post({
        url: own.webhook_url.reveal(),
        body: wecomBody(rendered, own),
        signal,
        messageId,
      }),
    );
  },
});
