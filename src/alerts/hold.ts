import type { Level } from "../core/rule.ts";
import type { Mute } from "../core/mute.ts";
import type { Decision } from "./decide.ts";
import { withIncident, type AlertRecord } from "./record.ts";

/** The level at which people are owed a message from now on. */
function heldLevel({ record, message }: Decision, same: AlertRecord | undefined): Level | null {
  if (message === "firing" || message === "escalated") return record.incident.level;
  if (message === "flapping" && same?.open !== true) return record.incident.level;
  return same?.heldLevel ?? null;
}

/**
 * A decision without its message: the incident goes its way, and nothing counts as told. Once nothing holds messages
 * back any more, what still fires is told with its next sample, since people do not know of it. What recovered
 * meanwhile is not told, neither then nor later. Pure.
 */
export function holdBack(
  before: AlertRecord | undefined,
  decision: Decision,
  mute: Mute,
): Decision {
  if (decision.message === null) return decision;
  const { record, message } = decision;
  const same = before?.incident.id === record.incident.id ? before : undefined;
  // Who is not told that it flaps must not wait for the end of it.
  const followed = message === "flapping" ? withIncident(record, { flapping: false }) : record;
  const { tellings, open } = same ?? { tellings: 0, open: false };
  const toldAtMs = before?.toldAtMs ?? {};
  return {
    record: { ...followed, toldAtMs, tellings, open, heldLevel: heldLevel(decision, same) },
    message: null,
    suppressed: mute.reason,
    mute,
  };
}
