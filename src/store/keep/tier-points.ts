import type { SeriesKey } from "../../core/series.ts";
import { addPoints, addSample, createPoints, numberAt } from "../format/points.ts";
import { cut, type Readings } from "../read/readings.ts";
import { dayMs } from "../slots.ts";
import { pointMs, pointsPerDay, type TierColumn } from "../format/tier-codec.ts";

/** Points of one day from `begin` up to `end`. */
export interface PointRange {
  readonly day: number;
  readonly begin: number;
  readonly end: number;
}

/** A day, or a part of it, in points. */
export interface DayPoints {
  readonly columns: ReadonlyMap<SeriesKey, TierColumn>;
  /** For each point of the day, 1 when there is a row. */
  readonly present: Uint8Array;
}

export const noPoints: DayPoints = { columns: new Map(), present: new Uint8Array(pointsPerDay) };

/** The time at which a point of a day begins. */
export function pointStartMs(day: number, point: number): number {
  return day * dayMs + point * pointMs;
}

/** The points of a day's samples; a series without any value has no column. */
export function pointsOf(
  { timesMs, columns }: Readings,
  { day, begin, end }: PointRange,
): DayPoints {
  const [first, after] = cut(timesMs, pointStartMs(day, begin), pointStartMs(day, end) - 1);
  const places = timesMs
    .subarray(first, after)
    .map((timeMs) => Math.floor((timeMs - day * dayMs) / pointMs));
  const present = new Uint8Array(pointsPerDay);
  for (const place of places) present[place] = 1;
  const found = new Map<SeriesKey, TierColumn>();
  for (const [key, { decimals, values }] of columns) {
    const points = createPoints(pointsPerDay);
    let isEmpty = true;
    for (let at = first; at < after; at++) {
      const value = numberAt(values, at);
      if (Number.isNaN(value)) continue;
      addSample(points, numberAt(places, at - first), value);
      isEmpty = false;
    }
    if (!isEmpty) found.set(key, { decimals, points });
  }
  return { columns: found, present };
}

/** Points of a day up to `begin`, and others from there up to `end`. */
export function spliced(
  before: DayPoints | null,
  fresh: DayPoints,
  { begin, end }: PointRange,
): DayPoints {
  const parts = [
    { from: before, first: 0, last: begin },
    { from: fresh, first: begin, last: end },
  ];
  const keys = new Set(parts.flatMap(({ from }) => [...(from?.columns.keys() ?? [])]));
  const columns = new Map<SeriesKey, TierColumn>();
  for (const key of keys) {
    const found = parts.map(({ from }) => from?.columns.get(key));
    const decimals = Math.max(...found.map((column) => column?.decimals ?? 0));
    const points = createPoints(pointsPerDay);
    for (const [index, column] of found.entries()) {
      if (column === undefined) continue;
      const { first, last } = parts[index] ?? { first: 0, last: 0 };
      const scale = 10 ** (decimals - column.decimals);
      const places = Uint32Array.from({ length: last - first }, (_, index) => first + index);
      addPoints(points, places, { from: column.points, begin: first, scale });
    }
    columns.set(key, { decimals, points });
  }
  const present = new Uint8Array(pointsPerDay);
  for (const { from, first, last } of parts)
    if (from !== null) present.set(from.present.subarray(first, last), first);
  return { columns, present };
}
