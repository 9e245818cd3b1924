import { deadline } from "../base/every.ts";
import type { AlertMessage, Leave, Outcome } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
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

/** The one way messages go to a target. */
export interface Sender {
  /** Leave for one message, or how long there is none. */
  take(): Promise<Leave>;
  /** Sends the message that there is leave for. */
  send(message: AlertMessage, leave: Extract<Leave, { arrived: unknown }>): Promise<Outcome>;
}

/** Sends within the limits and the deadline; whatever a channel does, the answer is an outcome without secrets. */
export function createSender(
  { channel, robot, limits }: Target,
  { clock, redactor, meter }: DrainerDeps,
  cutOff: AbortSignal,
): Sender {
  return {
    take: () => meter.take(robot, limits),
    send: async (message, leave) => {
      const limit = deadline(clock, sendDeadlineMs, cutOff);
      let outcome: Outcome;
      try {
        outcome = await Promise.race([
          channel.send(message, limit.signal),
          whenAborted(limit.signal),
        ]);
      } catch (cause) {
        outcome = { outcome: "retry", code: "exception", reason: errorText(cause) };
      } finally {
        limit.clear();
      }
      // A service that names a time means all messages, not this one.
      if (outcome.outcome === "retry" && outcome.retryAfterMs !== undefined)
        await meter.hold(robot, outcome.retryAfterMs);
      await leave.arrived();
      return redacted(outcome, redactor);
    },
  };
}
