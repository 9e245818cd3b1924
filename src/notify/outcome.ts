import type { Redactor } from "../base/secret.ts";
import type { Outcome } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";

/** Why no answer came: the deadline, a stop, or the network. */
export function failedOutcome(cause: unknown, signal: AbortSignal): Outcome {
  const reason = errorText(cause);
  if (!signal.aborted) return { outcome: "retry", code: "network", reason };
  const late: unknown = signal.reason;
  const code = late instanceof DOMException && late.name === "TimeoutError" ? "timeout" : "aborted";
  return { outcome: "retry", code, reason };
}

/** Replaces known secrets in what other software said. */
export function redacted(outcome: Outcome, redactor: Redactor): Outcome {
  const code = redactor.redact(outcome.code);
  if (outcome.outcome === "sent") {
    const { note } = outcome;
    return { ...outcome, code, ...(note === undefined ? {} : { note: redactor.redact(note) }) };
  }
  return { ...outcome, code, reason: redactor.redact(outcome.reason) };
}
