import type { Channel, Outcome } from "../core/delivery.ts";
import { defineChannel } from "./contract.ts";
import { fitRows, oneLine, type Rendered, type Tone } from "./render.ts";
import { createTextChannel } from "./text-channel.ts";
import {
  createTextPost,
  hookSettings,
  mentionFor,
  reachRobot,
  robotOf,
  robotWarnings,
  type HookSettings,
  type Mention,
  type TextReply,
} from "./robot.ts";

/** Characters, never more than bytes, of one section: docs.slack.dev/reference/block-kit/blocks/section-block. */
const maxSectionBytes = 3_000;

const colours: Readonly<Record<Tone, string>> = {
  critical: "#d32f2f",
  warning: "#f57c00",
  info: "#1976d2",
  resolved: "#388e3c",
};

/**
 * What a refusal means in words that say what to do:
 * api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks.
 */
const hints: Readonly<Record<string, string>> = {
  invalid_payload: "Slack could not read the message",
  invalid_blocks: "Slack could not read the message",
  no_text: "Slack could not read the message",
  invalid_token: "the webhook_url is wrong or the webhook was removed",
  no_service: "the webhook was removed or disabled; make a new one and set webhook_url",
  no_service_id: "the webhook_url is wrong",
  no_team: "the webhook_url is wrong or the workspace is gone",
  user_not_found: "the webhook's channel or user is gone; make a new webhook",
  channel_not_found: "the webhook's channel is gone; make a new webhook",
  channel_is_archived: "the webhook's channel is archived; unarchive it or make a new webhook",
  action_prohibited: "an administrator of the workspace forbids this webhook to post",
  posting_to_general_channel_denied: "an administrator forbids posting to the general channel",
};

/**
 * Reads what Slack answered: only the text `ok` with HTTP 200 is a delivery; null when the reply is not Slack's.
 * Refusals are a word, such as `channel_is_archived`, and permanent.
 */
export function readSlackReply({ status, text }: TextReply): Outcome | null {
  const word = text.trim();
  if (status === 200 && word === "ok") return { outcome: "sent", code: "ok" };
  if (word === "rollup_error")
    return { outcome: "retry", code: word, reason: `HTTP ${status}: ${word}` };
  const hint = Object.hasOwn(hints, word) ? hints[word] : undefined;
  if (hint !== undefined)
    return { outcome: "refused", code: word, reason: `HTTP ${status}: ${word}; ${hint}` };
  // A page of a proxy is no word; a success with an unknown word is not Slack's either.
  return status >= 400 && /^[a-z][a-z_]{2,63}$/.test(word)
    ? { outcome: "refused", code: word, reason: `HTTP ${status}: ${word}` }
    : null;
}

/** The three characters mrkdwn knows: without them no text is a call or a link. */
function escapeMrkdwn(text: string): string {
  return oneLine(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function calls({ user_ids, all }: Mention): string {
  return [...(all ? ["<!channel>"] : []), ...user_ids.map((id) => `<@${id}>`)].join(" ");
}

function section(text: string): object {
  return { type: "section", text: { type: "mrkdwn", text } };
}

function linkSections({ links, actions }: Rendered): object[] {
  return [...actions, ...links]
    .map(({ label, url }) => {
      const address = url.replaceAll("|", "%7C").replaceAll(">", "%3E").replaceAll("<", "%3C");
      return `<${address.replaceAll("&", "&amp;")}|${escapeMrkdwn(label)}>`;
    })
    .filter((text) => text.length <= maxSectionBytes)
    .map(section);
}

/** The whole body of one message: title and calls as its text, the rows in a coloured attachment. */
export function slackBody(rendered: Rendered, settings: HookSettings): string {
  const called = calls(mentionFor(settings, rendered.tone));
  const title = `*${escapeMrkdwn(rendered.title)}*`;
  const rows = fitRows(rendered, maxSectionBytes, (fitted) =>
    fitted
      .map(({ label, value }) =>
        label === ""
          ? escapeMrkdwn(value)
          : `*${label}*${rendered.words.colon}${escapeMrkdwn(value)}`,
      )
      .join("\n"),
  );
  return JSON.stringify({
    text: called === "" ? title : `${title}\n${called}`,
    attachments: [
      {
        color: colours[rendered.tone],
        fallback: escapeMrkdwn(rendered.summary),
        blocks: [section(rows), ...linkSections(rendered)],
      },
    ],
  });
}

function warnings(settings: HookSettings): string[] {
  const { mobiles = [], user_ids = [] } = settings.mention ?? {};
  const strange = user_ids.filter((id) => !/^[UW][A-Z0-9]{2,}$/.test(id));
  return [
    ...robotWarnings(settings),
    ...(mobiles.length > 0
      ? ["mention.mobiles: Slack calls people by user_ids only; the mobiles have no effect"]
      : []),
    ...(strange.length > 0
      ? [
          `mention.user_ids: ${strange.join(", ")}: Slack calls people by member id (U…), not by name; copy it from the profile`,
        ]
      : []),
  ];
}

/** Slack channels, by incoming webhooks. */
export const slack = defineChannel<HookSettings>({
  type: "slack",
  doc: "A Slack channel by its incoming webhook: coloured by level, people called by member id.",
  settings: hookSettings,
  fromFile: ["webhook_url"],
  example: {
    type: "slack",
    webhook_url: "https://hooks.slack.com/services/T00000000/B00000000/000000000000000000000000",
    enabled: true,
  },
  // One a second: docs.slack.dev/apis/web-api/rate-limits.
  limits: [{ count: 1, perMs: 1_000 }],
  maxBytes: maxSectionBytes,
  robot: robotOf,
  warnings,
  reach: reachRobot,
  create: (settings, deps): Channel => {
    const post = createTextPost(deps, readSlackReply);
    return createTextChannel(deps, (rendered, messageId, signal) =>
      post({
        url: settings.webhook_url.reveal(),
        body: slackBody(rendered, settings),
        signal,
        messageId,
      }),
    );
  },
});
