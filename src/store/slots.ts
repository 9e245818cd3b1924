/** Length of an ordinary block: the unit in which samples are encoded and sent. */
export const blockMs = 600_000;

/** Length of a block of a node that has few samples. */
export const hourMs = 3_600_000;

/** A day of UTC. */
export const dayMs = 86_400_000;

/** A stretch of time of which the samples are kept together. */
export interface Span {
  readonly startMs: number;
  readonly lengthMs: number;
}

/** The span of a length that a time falls into. */
export function spanAt(timeMs: number, lengthMs: number): Span {
  return { startMs: Math.floor(timeMs / lengthMs) * lengthMs, lengthMs };
}

/** Days since 1970-01-01 UTC. */
export function dayOf(timeMs: number): number {
  return Math.floor(timeMs / dayMs);
}

/** How a block is called in its day: `0`–`143` for ten minutes, `h0`–`h23` for an hour. */
export type BlockName = string;

/** The name of the block of a span. */
export function blockName({ startMs, lengthMs }: Span): BlockName {
  const number = Math.floor((startMs - dayOf(startMs) * dayMs) / lengthMs);
  return lengthMs === hourMs ? `h${number}` : String(number);
}

/** The span of a block of a day; null when no block is called so. */
export function blockSpan(day: number, name: BlockName): Span | null {
  const [, hour, digits] = /^(h?)(0|[1-9]\d{0,2})$/.exec(name) ?? [];
  if (digits === undefined) return null;
  const lengthMs = hour === "" ? blockMs : hourMs;
  const offsetMs = Number(digits) * lengthMs;
  return offsetMs < dayMs ? { startMs: day * dayMs + offsetMs, lengthMs } : null;
}

/** The spans of a length that touch a range, both ends inclusive, oldest first. */
export function spansIn(fromMs: number, toMs: number, lengthMs: number): readonly Span[] {
  const spans: Span[] = [];
  for (let span = spanAt(fromMs, lengthMs); span.startMs <= toMs;) {
    spans.push(span);
    span = { startMs: span.startMs + lengthMs, lengthMs };
  }
  return spans;
}

/** The blocks of the other length that hold the same time: the hour of ten minutes, the six parts of an hour. */
export function otherForms({ startMs, lengthMs }: Span): readonly Span[] {
  if (lengthMs === blockMs) return [spanAt(startMs, hourMs)];
  return spansIn(startMs, startMs + lengthMs - 1, blockMs);
}

/** The slots of a span: multiples of the step inside it, also when the step does not divide it. */
export interface SlotGrid {
  readonly count: number;
  toMs(position: number): number;
  toPosition(slotMs: number): number;
}

/** The grid of a span. */
export function slotGrid({ startMs, lengthMs }: Span, stepMs: number): SlotGrid {
  const first = Math.ceil(startMs / stepMs);
  return {
    count: Math.ceil((startMs + lengthMs) / stepMs) - first,
    toMs: (position) => (first + position) * stepMs,
    toPosition: (slotMs) => slotMs / stepMs - first,
  };
}

/** Greatest common divisor: the widest grid on which the slots of two steps lie. */
export function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
