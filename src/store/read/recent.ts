import type { RecentData, RecentQuery, SeriesData } from "../contract.ts";
import { numberAt } from "../format/points.ts";
import type { Held } from "../write/head.ts";
import { createColumnChooser, fromHeld } from "./columns.ts";
import { seriesData } from "./readings.ts";

/** Samples in parts of equal length, the last of which ends with the span; those of one part count as one. */
function inParts(
  { timesMs, columns }: SeriesData,
  { key, toMs, aggregate }: RecentQuery,
  { stepMs, count }: { readonly stepMs: number; readonly count: number },
): readonly (number | null)[] {
  const parts: (number | null)[] = Array.from({ length: count }, () => null);
  for (const [row, value] of (columns.get(key) ?? []).entries()) {
    const at = count - 1 - Math.floor((toMs - numberAt(timesMs, row)) / stepMs);
    if (value === null || at < 0) continue;
    parts[at] = Math[aggregate](value, parts[at] ?? value);
  }
  return parts;
}

/**
 * The course of a series by the blocks in memory, in steps of the interval or a multiple of it. Of the time before the
 * interval was made shorter, most steps have no value.
 */
export function recentData(
  blocks: readonly Held[],
  query: RecentQuery,
  intervalMs: number,
): RecentData {
  const { key, toMs, spanMs, maxValues } = query;
  const fromMs = toMs - spanMs;
  const held = blocks.filter(
    ({ startMs, lengthMs }) => startMs <= toMs && startMs + lengthMs > fromMs,
  );
  const wants = (other: string): boolean => other === key;
  const parts = held.map((block) => fromHeld(block, wants, createColumnChooser(wants)));
  const data = seriesData(parts, fromMs + 1, toMs);
  const first = (data.columns.get(key) ?? []).findIndex((value) => value !== null);
  if (first < 0) return { stepMs: intervalMs, values: [] };
  // What is younger than the span is told in finer steps.
  const coveredMs = Math.min(spanMs, toMs - numberAt(data.timesMs, first) + intervalMs);
  const stepMs = intervalMs * Math.max(1, Math.ceil(coveredMs / intervalMs / maxValues));
  const values = inParts(data, query, { stepMs, count: Math.ceil(coveredMs / stepMs) });
  return { stepMs, values: values.slice(values.findIndex((value) => value !== null)) };
}
