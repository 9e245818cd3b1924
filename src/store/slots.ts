/** Length of a block: the unit in which samples are encoded and sent. */
export const blockMs = 600_000;

/** A day of UTC. */
export const dayMs = 86_400_000;

/** Blocks of a day. */
export const blocksPerDay = dayMs / blockMs;

/** The block a time falls into, as the time it begins. */
export function blockStartMs(timeMs: number): number {
  return Math.floor(timeMs / blockMs) * blockMs;
}

/** Days since 1970-01-01 UTC. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / dayMs);
}

/** Which ten minutes of its day a block is, 0–143. */
export function blockNumber(startMs: number): number {
  return Math.floor((startMs - dayOf(startMs) * dayMs) / blockMs);
}

/** The slots of a block: multiples of the step inside its ten minutes, also when the step does not divide them. */
export interface SlotGrid {
  readonly count: number;
  toMs(position: number): number;
  toPosition(slotMs: number): number;
}

/** The grid of a block that begins at `startMs`. */
export function slotGrid(startMs: number, stepMs: number): SlotGrid {
  const first = Math.ceil(startMs / stepMs);
  return {
    count: Math.ceil((startMs + blockMs) / stepMs) - first,
    toMs: (position) => (first + position) * stepMs,
    toPosition: (slotMs) => slotMs / stepMs - first,
  };
}

/** Greatest common divisor: the widest grid on which the slots of two steps lie. */
export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
