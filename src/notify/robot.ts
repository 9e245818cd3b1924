import { createHash } from "node:crypto";
import * as v from "valibot";
import { retryAfterMs, serverMs, type HttpReply } from "../base/http.ts";
import { flag, list, secret, strictObject, text } from "../base/parse.ts";
import { cutText } from "../base/text.ts";
import { AgentError } from "../core/errors.ts";
import type { Outcome } from "../core/delivery.ts";
import { isLoopback } from "./address.ts";
import type { ChannelDeps } from "./contract.ts";
import { failedOutcome } from "./outcome.ts";
import { reachUrl, type Reached } from "./reach.ts";
import type { Tone } from "./render.ts";

/** Who is called by name in a message; recoveries call nobody. */
export interface Mention {
  readonly mobiles: readonly string[];
  readonly user_ids: readonly string[];
  readonly all: boolean;
}

/** More would be the whole group, for which there is `all`. */
const maxMentions = 50;

function names(pattern: RegExp, expected: string): v.GenericSchema<unknown, string[]> {
  return v.pipe(
    list(v.pipe(text, v.regex(pattern, expected))),
    v.maxLength(maxMentions, `expected at most ${maxMentions}; use "all" for everybody`),
  );
}

const mention = strictObject({
  mobiles: v.optional(
    names(/^\+?[\d-]{5,20}$/, "expected a mobile number, +1-1234567890 abroad"),
    [],
  ),
  user_ids: v.optional(names(/^[\w.$:@-]{1,128}$/, "expected a user id"), []),
  all: v.optional(flag, false),
});

/** Whether a text is an address that can be posted to. */
export function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

/** The address of a service that is its credential too. */
export const webhookUrl = v.pipe(
  secret,
  v.check((url) => isHttpUrl(url.reveal()), "expected an http:// or https:// URL"),
);

/** The settings of a robot whose address is all it knows its callers by. */
export const hookSettings = strictObject({
  webhook_url: webhookUrl,
  mention: v.optional(mention),
});
export type HookSettings = v.InferOutput<typeof hookSettings>;

/** The settings of a robot that may demand a signature and a keyword too. */
export const robotSettings = strictObject({
  webhook_url: webhookUrl,
  secret: v.optional(secret),
  keyword: v.optional(v.pipe(text, v.maxLength(100, "expected at most 100 characters"))),
  mention: v.optional(mention),
});
export type RobotSettings = v.InferOutput<typeof robotSettings>;

/** A robot is its address; hashed, because the address is its secret. */
export function robotOf({ webhook_url }: HookSettings): string {
  return createHash("sha256").update(webhook_url.reveal()).digest("base64url");
}

/** Goes as far as the host of a robot's address; whether the robot is there only a message shows. */
export function reachRobot({ webhook_url }: HookSettings, signal: AbortSignal): Promise<Reached> {
  return reachUrl(new URL(webhook_url.reveal()), signal);
}

/** Says when the address of a robot, which is its only secret, travels in clear. */
export function robotWarnings({ webhook_url }: HookSettings): string[] {
  const url = new URL(webhook_url.reveal());
  return url.protocol === "http:" && !isLoopback(url.hostname)
    ? [
        "webhook_url: http:// shows the robot's address and the messages to the network; use https://",
      ]
    : [];
}

/** Whom to call: everybody asked for while something is wrong, nobody when it is over. */
export function mentionFor(settings: HookSettings, tone: Tone): Mention {
  return tone === "resolved" || settings.mention === undefined
    ? { mobiles: [], user_ids: [], all: false }
    : settings.mention;
}

/** Puts the robot's keyword in front of a title that does not hold it. */
export function withKeyword(title: string, keyword: string | undefined): string {
  return keyword === undefined || title.includes(keyword) ? title : `${keyword} ${title}`;
}

interface Reply {
  readonly status: number;
  /** How far this clock is ahead of the service's, by its Date header; null without one. */
  readonly clockAheadMs: number | null;
}

/** What a service answered, as text. */
export interface TextReply extends Reply {
  readonly text: string;
}

/** What a service answered that answers in JSON. */
export interface RobotReply extends Reply {
  readonly json: Readonly<Record<string, unknown>>;
}

export interface RobotRequest {
  readonly url: string;
  readonly body: string;
  readonly signal: AbortSignal;
  /** The id of the message, to know a second doubtful reply to the same one. */
  readonly messageId: string;
}

export type RobotPost = (request: RobotRequest) => Promise<Outcome>;

/** Robots answer with a line. */
const maxReplyBytes = 64 * 1024;
/** A reply nobody could read may have been a proxy's; by then it has had time to recover. */
const doubtfulRetryMs = 30_000;
/** So many answers in a row that cannot be read, whatever was sent, and it is no service. */
const maxDoubtful = 10;
/** A signature is valid for an hour, so a clock may be minutes off; below this it is not worth a word. */
const worthMentioningMs = 60_000;

function parseObject(body: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body);
    // An object that is not null and no list is a record of unknown members.
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** Messages are given up after a day; nobody is waited for longer. */
const longestWaitMs = 86_400_000;

/** How long a service is left alone that has had too many and names no time. */
const tooManyMs = 10_000;

type Retry = Extract<Outcome, { outcome: "retry" }>;

/** What an overloaded service means, whatever it says: try again, when it asks to. */
export function overloaded({ status, headers }: HttpReply, nowMs: number, reason: string): Retry {
  const waitMs =
    retryAfterMs(headers, nowMs, longestWaitMs) ?? (status === 429 ? tooManyMs : undefined);
  const wait = waitMs === undefined ? {} : { retryAfterMs: waitMs };
  return { outcome: "retry", code: `http_${status}`, reason, ...wait };
}

/** Overload with what the service itself says of it: its code where that means the same, and the longer wait. */
function inItsWords(general: Retry, said: Outcome | null): Retry {
  if (said === null || said.outcome === "sent") return general;
  const reason = `${general.reason}: ${said.reason}`;
  if (said.outcome === "refused") return { ...general, reason };
  const waitMs = Math.max(general.retryAfterMs ?? 0, said.retryAfterMs ?? 0);
  return { ...said, reason, ...(waitMs > 0 ? { retryAfterMs: waitMs } : {}) };
}

/** Whether a status is trouble that passes: 408, 429 and 5xx. */
export function isOverload(status: number): boolean {
  return status >= 500 || status === 429 || status === 408;
}

function isSuccess(status: number): boolean {
  return status >= 200 && status <= 299;
}

/** A refusal in which no service said why, with what to do about it where that is known. */
export function refusalText(status: number): string {
  return status >= 300 && status <= 399
    ? `HTTP ${status}; redirects are not followed; set the address it leads to`
    : `HTTP ${status}`;
}

/** A word about the clock when a signature was refused and the clocks disagree. */
export function clockHint({ clockAheadMs }: RobotReply): string {
  if (clockAheadMs === null || Math.abs(clockAheadMs) < worthMentioningMs)
    return "; check the secret and this node's clock";
  const seconds = Math.round(Math.abs(clockAheadMs) / 1_000);
  return `; this node's clock is ${seconds} s ${clockAheadMs > 0 ? "ahead of" : "behind"} the service's`;
}

/**
 * Posts JSON to robots and reads their replies. Overload and trouble of the service (429, 408, 5xx, the network) are
 * retried; any other reply is what `judge` makes of it, which answers null when it is none of the service, but no
 * delivery without a 2xx; a success that cannot be read is neither a delivery nor a refusal: it is tried once more, and given up if the second
 * one cannot be read either.
 */
export function createTextPost(
  { http, clock }: ChannelDeps,
  judge: (reply: TextReply) => Outcome | null,
): RobotPost {
  const doubtful = new Set<string>();
  let inARow = 0;
  const unreadable = (status: number, messageId: string): Outcome => {
    if (!isSuccess(status))
      return { outcome: "refused", code: `http_${status}`, reason: refusalText(status) };
    const reason = `HTTP ${status}, but the reply is not the service's`;
    inARow += 1;
    // A digest that is tried again holds other alerts, and has another id.
    if (doubtful.delete(messageId) || inARow >= maxDoubtful) {
      doubtful.clear();
      return { outcome: "refused", code: "unreadable_reply", reason };
    }
    doubtful.add(messageId);
    return { outcome: "retry", code: "unreadable_reply", reason, retryAfterMs: doubtfulRetryMs };
  };
  return async ({ url, body, signal, messageId }) => {
    try {
      const headers = { "Content-Type": "application/json; charset=utf-8" };
      const reply = await http.request({
        method: "POST",
        url,
        headers,
        body,
        signal,
        maxBytes: maxReplyBytes,
        partial: true,
      });
      const { status } = reply;
      const serviceMs = serverMs(reply.headers);
      const clockAheadMs = serviceMs === null ? null : clock.now() - serviceMs;
      const outcome = judge({ status, text: reply.body, clockAheadMs });
      if (isOverload(status))
        return inItsWords(overloaded(reply, clock.now(), `HTTP ${status}`), outcome);
      if (outcome === null || (outcome.outcome === "sent" && !isSuccess(status)))
        return unreadable(status, messageId);
      doubtful.delete(messageId);
      inARow = 0;
      return outcome;
    } catch (cause) {
      if (!(cause instanceof AgentError)) throw cause;
      return failedOutcome(cause, signal);
    }
  };
}

/** `createTextPost` for services that answer with a JSON object; `judge` is given nothing else. */
export function createRobotPost(
  deps: ChannelDeps,
  judge: (reply: RobotReply) => Outcome | null,
): RobotPost {
  return createTextPost(deps, ({ status, text: body, clockAheadMs }) => {
    const json = parseObject(body);
    return json === null ? null : judge({ status, json, clockAheadMs });
  });
}

/** Longer words of a service are none for people. */
const maxSaidCharacters = 500;

/** The reply's text member, for people. */
export function replyText(json: Readonly<Record<string, unknown>>, ...members: string[]): string {
  for (const member of members) {
    const value = json[member];
    if (typeof value === "string" && value !== "") return cutText(value, maxSaidCharacters);
  }
  return "no reason given";
}
