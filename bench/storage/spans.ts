import type { Week } from "./week.ts";

/** How far back is read. */
export interface ReadSpan {
  readonly name: string;
  readonly hours: number;
}

const all: readonly ReadSpan[] = [
  { name: "1 h", hours: 1 },
  { name: "24 h", hours: 24 },
  { name: "7 d", hours: 168 },
];
const hourMs = 3_600_000;

/** The spans a week of so many days has. */
export function spansOf({ startMs, endMs }: Week): readonly ReadSpan[] {
  return all.filter(({ hours }) => endMs - hours * hourMs >= startMs);
}

/** Both ends of a span, inclusive, up to the end of a week. */
export function rangeOf(
  { endMs }: Week,
  { hours }: ReadSpan,
): { readonly fromMs: number; readonly toMs: number } {
  return { fromMs: endMs - hours * hourMs, toMs: endMs - 1 };
}
