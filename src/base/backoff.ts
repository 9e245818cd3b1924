/** Exponential delays with full jitter in their upper half, so that a fleet does not come back in one instant. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * The delay before try number `attempt` (1 = the first retry): doubling from `firstMs` up to `maxMs`, of which
 * between half and all is waited, by `random` in [0, 1).
 */
export function backoffMs(attempt: number, limits: BackoffLimits, random: () => number): number {
  const full = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(30, Math.max(0, attempt - 1)));
  return Math.round(full / 2 + (full / 2) * random());
}
