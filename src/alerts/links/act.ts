import type {
  Acknowledgement,
  AcknowledgementPort,
  Acted,
  ActionClaim,
} from "../../core/action.ts";
import type { Clock } from "../../core/ports.ts";
import { silenceState, type Silence } from "../../core/silence.ts";
import type { Incidents } from "../incidents.ts";
import type { Silences } from "../silences.ts";
import { silenceEnd } from "./morning.ts";

export interface ActDeps {
  readonly incidents: Pick<Incidents, "acknowledge" | "list">;
  readonly silences: Pick<Silences, "put" | "find">;
  readonly acknowledgements: AcknowledgementPort;
  /** Whose morning it is. */
  readonly timezone: () => string;
  readonly newId: () => string;
  readonly clock: Clock;
}

/**
 * Says in the fleet that somebody takes care of an alert: here at once, elsewhere before it is told again. Said again
 * after an escalation it counts again. Rejects as the store does.
 */
export async function acknowledgeAnywhere(
  { alert, by }: Pick<Acknowledgement, "alert" | "by">,
  deps: Pick<ActDeps, "incidents" | "acknowledgements" | "newId" | "clock">,
): Promise<Acted> {
  const { incidents, acknowledgements, newId, clock } = deps;
  if (incidents.list().some(({ id }) => id === alert)) {
    const incident = await incidents.acknowledge(alert, by);
    return incident === null ? { state: "over" } : { state: "done", by, untilMs: null };
  }
  await acknowledgements.put({ id: newId(), alert, by, atMs: clock.now() });
  return { state: "done", by, untilMs: null };
}

/** The silence of one alert, of no other series of its rule either. */
function silenceOf(
  id: string,
  { cluster, node, rule, index, labels }: ActionClaim,
  { by, nowMs, endsAtMs }: { by: string; nowMs: number; endsAtMs: number },
): Silence {
  return {
    id,
    matchers: {
      node: [`${cluster}/${node}`],
      cluster: null,
      rule: [rule],
      index: [index],
      level: null,
      labels,
      onlyLabels: true,
    },
    startsAtMs: nowMs,
    endsAtMs,
    createdAtMs: nowMs,
    author: by,
    comment: "by a link in a message",
  };
}

/**
 * Does what a link is the right to; a silence once: who follows it again is told of the first. Rejects with STORE_UNAVAILABLE
 * or CONFLICT when it cannot be kept.
 */
export async function act(
  { claim, id }: { readonly claim: ActionClaim; readonly id: string },
  by: string,
  deps: ActDeps,
): Promise<Acted> {
  const { action, alert } = claim;
  if (action === "ack") return acknowledgeAnywhere({ alert, by }, deps);
  const nowMs = deps.clock.now();
  const silenceId = `link-${id}`;
  const before = await deps.silences.find(silenceId);
  if (before !== null && silenceState(before, nowMs) === "expired")
    return { state: "ended", by: before.author };
  if (before !== null) return { state: "done", by: before.author, untilMs: before.endsAtMs };
  const { untilMs: endsAtMs } = silenceEnd(action, deps.timezone(), nowMs);
  await deps.silences.put(silenceOf(silenceId, claim, { by, nowMs, endsAtMs }));
  return { state: "done", by, untilMs: endsAtMs };
}
