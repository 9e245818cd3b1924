import type { Clock } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import type { Compactor } from "./compact.ts";
import { type Head, isDirty } from "../write/head.ts";
import { dayOf } from "../slots.ts";
import { placeInFleet } from "../spread.ts";
import { createRefusals, type Refusals } from "./refusals.ts";
import type { TierWriter } from "./tier.ts";

/** Closed days are looked at so often; each node at its own moment, so that a fleet is spread over as long. */
const lookEveryMs = 8 * 3_600_000;

/** A day that was as it should be is left alone for so long: whoever writes it late looks after it himself. */
const wellForMs = 24 * 3_600_000;

/** A start is no moment to look at once: many nodes of a fleet may start together. */
const startSpreadMs = 1_800_000;

/** The last block of a day is sent once more after midnight, and clocks differ. */
const closedAfterMs = 1_800_000;

/** A day that changed while it was compacted, or was not stored yet, is tried again. */
const againMs = 900_000;

/** How often it is looked whether something is due; that costs nothing. */
const napMs = 30_000;

export interface KeeperDeps {
  readonly backend: Pick<Backend, "status" | "epoch">;
  readonly node: string;
  readonly clock: Clock;
  readonly head: Head;
  readonly tier: Pick<TierWriter, "advance">;
  readonly compactor: Compactor;
  readonly retentionDays: () => number;
}

interface Counters {
  compactedDays: number;
  failedCompactions: number;
}

/** Takes care of what is closed: the tier as blocks close, days some hours after they are over. */
export interface Keeper {
  /** Does what is due; milliseconds until it wants to be called again. Rejects with STORE_UNAVAILABLE. */
  keep(signal?: AbortSignal): Promise<number>;
  counters(): Readonly<Counters>;
}

/** Remembers which days were as they should be; of a store that was away since, or of rows that came late, nothing. */
function createWell({ backend, clock, head }: KeeperDeps) {
  const known = new Map<number, { epoch: number; untilMs: number; changes: number }>();
  const changesOf = (day: number): number =>
    head
      .all()
      .filter(({ startMs }) => dayOf(startMs) === day)
      .reduce((sum, { changes }) => sum + changes, 0);
  return {
    is: (day: number): boolean => {
      const { epoch, untilMs, changes } = known.get(day) ?? { epoch: -1, untilMs: 0, changes: 0 };
      const isKnown = epoch === backend.epoch() && clock.monotonic() < untilMs;
      return isKnown && changes === changesOf(day);
    },
    note: (day: number): void => {
      const untilMs = clock.monotonic() + wellForMs;
      known.set(day, { epoch: backend.epoch(), untilMs, changes: changesOf(day) });
    },
    forgetBefore: (first: number): void => {
      for (const day of known.keys()) if (day < first) known.delete(day);
    },
  };
}

/** Looks after every closed day. */
function createLook(deps: KeeperDeps, counters: Counters) {
  const { clock, head, compactor, retentionDays } = deps;
  const well = createWell(deps);
  const closedDays = (nowMs: number): readonly number[] => {
    const end = dayOf(nowMs - closedAfterMs);
    const begin = dayOf(nowMs) - retentionDays();
    return Array.from({ length: Math.max(0, end - begin) }, (_, index) => begin + index);
  };
  /** Whether memory still has rows of a day that are not stored. */
  const isWaiting = (day: number): boolean =>
    head.all().some((held) => dayOf(held.startMs) === day && isDirty(held));
  /** Whether all days are as they should be. */
  return async (refusals: Refusals, signal?: AbortSignal): Promise<boolean> => {
    let isWell = true;
    const days = closedDays(clock.now());
    well.forgetBefore(days[0] ?? 0);
    for (const day of days.filter((day) => !well.is(day))) {
      signal?.throwIfAborted();
      const care = isWaiting(day)
        ? "refused"
        : await refusals.attempt(() => compactor.care(day, signal));
      if (care === "compacted") counters.compactedDays++;
      if (care === "failed") counters.failedCompactions++;
      if (care === "idle") well.note(day);
      if (care === "refused" || care === null) isWell = false;
    }
    return isWell;
  };
}

export function createKeeper(deps: KeeperDeps): Keeper {
  const { backend, node, clock, tier } = deps;
  const counters: Counters = { compactedDays: 0, failedCompactions: 0 };
  const look = createLook(deps, counters);
  const place = placeInFleet(node);
  let nextLookMs = clock.now() + place * startSpreadMs;
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
        if (await look(refusals, signal)) nextLookMs = after(nowMs);
      }
      refusals.rethrow();
      return napMs;
    },
    counters: () => counters,
  };
}
