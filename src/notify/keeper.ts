import { loop } from "../base/every.ts";
import type { KeepFiring, Ongoing, Outcome } from "../core/delivery.ts";
import type { Clock, Running } from "../core/ports.ts";
import { attempt } from "./sender.ts";

/**
 * Says again and again what goes on, at once and then as often as the channel wants it. A failed round is not tried
 * again before the next one, which says all that it would have said.
 */
export function startKeeper(
  keepFiring: KeepFiring,
  ongoing: () => Ongoing,
  { clock, judge }: { readonly clock: Clock; readonly judge: (outcome: Outcome) => void },
): Running {
  return loop(
    clock,
    async (stopping) => {
      const outcome = await attempt(
        (signal) => keepFiring.send(ongoing(), signal),
        clock,
        stopping,
      );
      if (outcome !== null && !stopping.aborted) judge(outcome);
      return keepFiring.everyMs;
    },
    () => keepFiring.everyMs,
  );
}
