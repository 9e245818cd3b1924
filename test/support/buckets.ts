import type { SeriesKey } from "../../src/core/series.ts";
import type { BucketColumn, BucketData, SeriesData } from "../../src/store/contract.ts";

/** A bucket column under way. */
interface OpenColumn {
  readonly counts: number[];
  readonly sums: number[];
  readonly mins: (number | null)[];
  readonly maxs: (number | null)[];
}

function emptyColumn(length: number): OpenColumn {
  return {
    counts: Array.from({ length }, () => 0),
    sums: Array.from({ length }, () => 0),
    mins: Array.from({ length }, () => null),
    maxs: Array.from({ length }, () => null),
  };
}

function addTo(column: OpenColumn, at: number, value: number): void {
  column.counts[at] = (column.counts[at] ?? 0) + 1;
  column.sums[at] = (column.sums[at] ?? 0) + value;
  const [min, max] = [column.mins[at] ?? null, column.maxs[at] ?? null];
  if (min === null || value < min) column.mins[at] = value;
  if (max === null || value > max) column.maxs[at] = value;
}

function bucketColumn(
  values: readonly (number | null)[],
  places: readonly number[],
  length: number,
): BucketColumn {
  const column = emptyColumn(length);
  for (const [index, value] of values.entries())
    if (value !== null) addTo(column, places[index] ?? 0, value);
  return column;
}

/** The buckets of some samples. */
export function bucketsOf({ timesMs, columns }: SeriesData, stepMs: number): BucketData {
  const begins: number[] = [];
  const places = Array.from(timesMs, (timeMs) => {
    const beginMs = Math.floor(timeMs / stepMs) * stepMs;
    if (begins.at(-1) !== beginMs) begins.push(beginMs);
    return begins.length - 1;
  });
  const found = new Map<SeriesKey, BucketColumn>(
    [...columns].map(([key, values]) => [key, bucketColumn(values, places, begins.length)]),
  );
  return { timesMs: begins, columns: found };
}
