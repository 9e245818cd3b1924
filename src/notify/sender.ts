import { deadline } from "../base/every.ts";
import type { AlertMessage, Channel, Digest, Leave, Outcome, RateLimit } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { isDigest } from "./parcel.ts";
import { failedOutcome, redacted } from "./outcome.ts";
import type { DrainerDeps, Target } from "./target.ts";

/** How long a service may take to answer. */
export const sendDeadlineMs = 10_000;

function whenAborted(signal: AbortSignal): Promise<Outcome> {
  return new Promise((resolve) => {
    const answer = (): void => resolve(failedOutcome(signal.reason, signal));
    if (signal.aborted) answer();
    else signal.addEventListener("abort", answer, { once: true });
  });
}

/**
 * One try within the deadline. Whatever a channel does, it is an answer: late and thrown ones are to be tried again.
 */
export async function attempt<T>(
  work: (signal: AbortSignal) => Promise<T>,
  clock: Clock,
  cutOff: AbortSignal,
): Promise<T | Outcome> {
  const limit = deadline(clock, sendDeadlineMs, cutOff);
  try {
    return await Promise.race([work(limit.signal), whenAborted(limit.signal)]);
  } catch (cause) {
    return { outcome: "retry", code: "exception", reason: errorText(cause) };
  } finally {
    limit.clear();
  }
}

/** More than two at once are soon told as one; whoever wrote of a storm has said most with the third. */
const pace: readonly RateLimit[] = [
  { count: 2, perMs: 5_000 },
  { count: 3, perMs: 15_000 },
];

/** The one way messages go to a target. */
export interface Sender {
  /** Leave for one message, or how long there is none. */
  take(): Promise<Leave>;
  /** The same for one that somebody waits for. */
  takeNow(): Promise<Leave>;
  /** Sends the message that there is leave for. */
  send(
    content: AlertMessage | Digest,
    leave: Extract<Leave, { arrived: unknown }>,
  ): Promise<Outcome>;
}

async function give(
  channel: Channel,
  content: AlertMessage | Digest,
  signal: AbortSignal,
): Promise<Outcome> {
  if (!isDigest(content)) return channel.send(content, signal);
  if (channel.sendDigest === undefined) throw new TypeError("the channel knows no digests");
  return channel.sendDigest(content, signal);
}

/** Sends within the limits and the deadline; whatever a channel does, the answer is an outcome without secrets. */
export function createSender(
  { channel, queue: { robot }, limits }: Target,
  { clock, redactor, meter }: DrainerDeps,
  cutOff: AbortSignal,
): Sender {
  const paced = channel.sendDigest === undefined ? limits : [...limits, ...pace];
  return {
    take: () => meter.take(robot, paced),
    takeNow: () => meter.take(robot, limits),
    send: async (content, leave) => {
      const outcome = await attempt((signal) => give(channel, content, signal), clock, cutOff);
      // A service that names a time means all messages, not this one.
      if (outcome.outcome === "retry" && outcome.retryAfterMs !== undefined)
        await meter.hold(robot, outcome.retryAfterMs);
      await leave.arrived();
      return redacted(outcome, redactor);
    },
  };
}
