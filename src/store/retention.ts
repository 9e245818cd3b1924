import type { Clock } from "../core/ports.ts";
import type { Backend } from "./contract.ts";
import { dayOf } from "./slots.ts";

export interface RetentionDeps {
  readonly backend: Pick<Backend, "expireDays">;
  readonly node: string;
  readonly clock: Clock;
  readonly retentionDays: () => number;
  /** Unix seconds. */
  readonly expireAt: (day: number) => number;
}

/** Gives a part of the days before today the expiry of a changed retention. Rejects with STORE_UNAVAILABLE. */
export function createRetention(
  { backend, node, clock, retentionDays, expireAt }: RetentionDeps,
  part: "blocks" | "tier",
): () => Promise<void> {
  let appliedDays: number | null = null;
  return async () => {
    const days = retentionDays();
    if (days === appliedDays) return;
    const today = dayOf(clock.now());
    const back = Math.max(days, appliedDays ?? 0);
    const past = Array.from({ length: back }, (_, index) => today - back + index);
    await backend.expireDays(node, part, past, expireAt);
    appliedDays = days;
  };
}
