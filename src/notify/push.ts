import * as v from "valibot";
import type { HttpReply } from "../base/http.ts";
import { secret } from "../base/parse.ts";
import type { Secret } from "../base/secret.ts";
import { cutText, oneLine } from "../base/text.ts";
import type { Outcome } from "../core/delivery.ts";
import { AgentError } from "../core/errors.ts";
import type { ChannelDeps } from "./contract.ts";
import { failedOutcome } from "./outcome.ts";
import { isOverload, overloaded, refusalText } from "./robot.ts";

/** A reason is a line, not a page. */
const maxReasonCharacters = 300;
/** Enough to find the first line of whatever was said. */
const maxReplyBytes = 64 * 1024;

/** A secret that a header can carry. */
export const headerSecret = v.pipe(
  secret,
  v.check(
    (value) => /^[\x21-\x7e]+$/.test(value.reveal()),
    "expected visible ASCII characters without spaces",
  ),
);

/** The header that shows a token. */
export function bearer(token: Secret | undefined): Readonly<Record<string, string>> {
  return token === undefined ? {} : { Authorization: `Bearer ${token.reveal()}` };
}

/** What to do about a refusal, by status. */
const hints: Readonly<Record<number, string>> = {
  401: "; check the credentials",
  403: "; check the credentials",
};

function firstLine(body: string): string {
  const line = body
    .split("\n")
    .map(oneLine)
    .find((text) => text !== "");
  return line === undefined ? "" : `: ${cutText(line, maxReasonCharacters)}`;
}

/**
 * What the reply of a receiver means that speaks HTTP and nothing else: any 2xx is a delivery, trouble that passes is
 * tried again, all else is a refusal. A redirect is one too, because it may lead the message to somebody else.
 */
export function readPushReply(reply: HttpReply, nowMs: number): Outcome {
  const { status, body } = reply;
  if (status >= 200 && status <= 299) return { outcome: "sent", code: String(status) };
  const reason = `HTTP ${status}${firstLine(body)}`;
  if (isOverload(status)) return overloaded(reply, nowMs, reason);
  const code = `http_${status}`;
  if (status >= 300 && status <= 399)
    return { outcome: "refused", code, reason: refusalText(status) };
  return { outcome: "refused", code, reason: reason + (hints[status] ?? "") };
}

/** One body for one address. */
export interface Push {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
}

/** Posts JSON and reads the reply by its status. */
export function createPush({ http, clock }: Pick<ChannelDeps, "http" | "clock">) {
  return async ({ url, headers, body, signal }: Push): Promise<Outcome> => {
    try {
      const reply = await http.request({
        method: "POST",
        url,
        headers: { "Content-Type": "application/json", ...headers },
        body,
        signal,
        maxBytes: maxReplyBytes,
        partial: true,
      });
      return readPushReply(reply, clock.now());
    } catch (cause) {
      if (!(cause instanceof AgentError)) throw cause;
      return failedOutcome(cause, signal);
    }
  };
}
