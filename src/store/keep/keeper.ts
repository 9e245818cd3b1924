import type { Clock } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import type { Compactor } from "./compact.ts";
import { type Head, isDirty } from "../write/head.ts";
import { dayOf } from "../slots.ts";
import { placeInFleet } from "../spread.ts";
import { createRefusals, type Refusals } from "./refusals.ts";
import type { TierWriter } from "./tier.ts";

/** Closed days are looked at so often; each node at its own moment, so that a fleet is spread over as long. */
const lookEveryMs = 6 * 3_600_000;

/** A start is no moment to look at once: many nodes of a fleet may start together. */
const startSpreadMs = 1_800_000;

/** The last block of a day is sent once more after midnight, and clocks differ. */
const closedAfterMs = 1_800_000;

/** A day that changed while it was compacted, or was not stored yet, is tried again. */
const againMs = 900_000;

/** How often it is looked whether something is due; that costs nothing. */
const napMs = 30_000;

export interface KeeperDeps {
  readonly backend: Pick<Backend, "status">;
  readonly node: string;
  readonly clock: Clock;
  readonly head: Head;
  readonly tier: Pick<TierWriter, "advance">;
  readonly compactor: Compactor;
  readonly retentionDays: () => number;
}

/** Takes care of what is closed: the tier as blocks close, days some hours after they are over. */
export interface Keeper {
  /** Does what is due; milliseconds until it wants to be called again. Rejects with STORE_UNAVAILABLE. */
  keep(signal?: AbortSignal): Promise<number>;
  counters(): { readonly compactedDays: number; readonly failedCompactions: number };
}

export function createKeeper(deps: KeeperDeps): Keeper {
  const { backend, node, clock, head, tier, compactor, retentionDays } = deps;
  const place = placeInFleet(node);
  const counters = { compactedDays: 0, failedCompactions: 0 };
  let nextLookMs = clock.now() + place * startSpreadMs;
  const closedDays = (nowMs: number): readonly number[] => {
    const end = dayOf(nowMs - closedAfterMs);
    const begin = dayOf(nowMs) - retentionDays();
    return Array.from({ length: Math.max(0, end - begin) }, (_, index) => begin + index);
  };
  /** Whether memory still has rows of a day that are not stored. */
  const isWaiting = (day: number): boolean =>
    head.all().some((held) => dayOf(held.startMs) === day && isDirty(held));
  /** Whether all days are as they should be. */
  const look = async (
    nowMs: number,
    refusals: Refusals,
    signal?: AbortSignal,
  ): Promise<boolean> => {
    let isWell = true;
    for (const day of closedDays(nowMs)) {
      signal?.throwIfAborted();
      const care = isWaiting(day)
        ? "refused"
        : await refusals.attempt(() => compactor.care(day, signal));
      if (care === "compacted") counters.compactedDays++;
      if (care === "failed") counters.failedCompactions++;
      if (care === "refused" || care === null) isWell = false;
    }
    return isWell;
  };
  const after = (nowMs: number): number => {
    const phaseMs = place * lookEveryMs;
    return (Math.floor((nowMs - phaseMs) / lookEveryMs) + 1) * lookEveryMs + phaseMs;
  };
  return {
    keep: async (signal) => {
      const refusals = createRefusals(backend);
      await refusals.attempt(() => tier.advance());
      const nowMs = clock.now();
      // A clock that was set back would else not look for as long.
      nextLookMs = Math.min(nextLookMs, after(nowMs) + lookEveryMs);
      if (nowMs >= nextLookMs) {
        nextLookMs = nowMs + againMs;
        if (await look(nowMs, refusals, signal)) nextLookMs = after(nowMs);
      }
      refusals.rethrow();
      return napMs;
    },
    counters: () => counters,
  };
}
