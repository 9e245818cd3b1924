import { deadline } from "../base/every.ts";
import type { AlertMessage, Outcome } from "../core/delivery.ts";
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
  /** How long nothing may leave. */
  heldMs(): number;
  send(message: AlertMessage): Promise<Outcome>;
}

/** Sends within the limits and the deadline; whatever a channel does, the answer is an outcome without secrets. */
export function createSender(
  { channel, window }: Target,
  { clock, redactor }: DrainerDeps,
  cutOff: AbortSignal,
): Sender {
  return {
    heldMs: () => window.waitMs(clock.monotonic()),
    send: async (message) => {
      const departure = window.depart(clock.monotonic());
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
        departure.arrived(clock.monotonic());
      }
      // A service that names a time means all messages, not this one.
      if (outcome.outcome === "retry" && outcome.retryAfterMs !== undefined)
        window.hold(clock.monotonic(), outcome.retryAfterMs);
      return redacted(outcome, redactor);
    },
  };
}
