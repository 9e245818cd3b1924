import type { SeriesKey } from "../../core/series.ts";
import type { SeriesData } from "../contract.ts";
import type { DayColumn } from "../format/day-columns.ts";
import { numberAt } from "../format/points.ts";

/** Some series over shared slot times, ascending: scaled integers, NaN where a value is missing. */
export interface Readings {
  readonly timesMs: Float64Array;
  readonly columns: ReadonlyMap<SeriesKey, DayColumn>;
}

const noReadings: Readings = { timesMs: new Float64Array(0), columns: new Map() };

function concatenated(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/** Ascending numbers, each once. */
function distinct(sorted: Float64Array): Float64Array {
  let length = 0;
  for (const value of sorted)
    if (length === 0 || value > numberAt(sorted, length - 1)) sorted[length++] = value;
  return sorted.subarray(0, length);
}

/** Whether each part begins after the one before it has ended. */
function areInOrder(parts: readonly Readings[]): boolean {
  return parts.every(
    ({ timesMs }, index) =>
      numberAt(timesMs, 0) > (parts[index - 1]?.timesMs.at(-1) ?? Number.NEGATIVE_INFINITY),
  );
}

/** Where the times of each part are among all of them. */
function placesOf(parts: readonly Readings[], all: Float64Array): readonly Uint32Array[] {
  return parts.map(({ timesMs }) => {
    const places = new Uint32Array(timesMs.length);
    let at = firstFrom(all, numberAt(timesMs, 0));
    for (let index = 0; index < timesMs.length; index++) {
      while (numberAt(all, at) < numberAt(timesMs, index)) at++;
      places[index] = at;
    }
    return places;
  });
}

/** Puts the values that are there into their places. */
function put(into: Float64Array, places: Uint32Array, from: Float64Array, factor: number): void {
  for (let index = 0; index < from.length; index++) {
    const value = numberAt(from, index);
    if (!Number.isNaN(value)) into[numberAt(places, index)] = value * factor;
  }
}

/**
 * Readings as one. What several have counts as the last of them says, where it has a value. A series that is kept with
 * other decimals here and there gets the most of them.
 */
export function joined(given: readonly Readings[]): Readings {
  const parts = given.filter(({ timesMs }) => timesMs.length > 0);
  const [first = noReadings] = parts;
  if (parts.length <= 1) return first;
  const all = concatenated(parts.map(({ timesMs }) => timesMs));
  const timesMs = areInOrder(parts) ? all : distinct(all.sort());
  const places = placesOf(parts, timesMs);
  const columns = new Map<SeriesKey, DayColumn>();
  for (const key of new Set(parts.flatMap((part) => [...part.columns.keys()]))) {
    const found = parts.map((part) => part.columns.get(key));
    const decimals = found.reduce((most, column) => Math.max(most, column?.decimals ?? 0), 0);
    const values = new Float64Array(timesMs.length).fill(Number.NaN);
    for (const [index, column] of found.entries()) {
      const at = places[index];
      if (column === undefined || at === undefined) continue;
      put(values, at, column.values, 10 ** (decimals - column.decimals));
    }
    columns.set(key, { decimals, values });
  }
  return { timesMs, columns };
}

/** The place of the first of ascending times that is not before another. */
function firstFrom(timesMs: Float64Array, fromMs: number): number {
  let [low, high] = [0, timesMs.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (numberAt(timesMs, middle) < fromMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The places of the times in a range, both ends inclusive: the first, and the one after the last. */
export function cut(
  timesMs: Float64Array,
  fromMs: number,
  toMs: number,
): readonly [number, number] {
  const begin = firstFrom(timesMs, fromMs);
  let end = firstFrom(timesMs, toMs);
  if (timesMs[end] === toMs) end++;
  return [begin, Math.max(begin, end)];
}

/** A stretch of readings. */
interface Stretch {
  readonly readings: Readings;
  readonly begin: number;
  readonly end: number;
}

/** One series over all stretches; null: it has no value. */
function valuesOf(key: SeriesKey, stretches: readonly Stretch[]): (number | null)[] | null {
  const values: (number | null)[] = [];
  // A list that has a place for each row is filled in half the time in which it would grow.
  values.length = stretches.reduce((sum, { begin, end }) => sum + end - begin, 0);
  let [place, isEmpty] = [0, true];
  for (const { readings, begin, end } of stretches) {
    const column = readings.columns.get(key);
    if (column === undefined) {
      values.fill(null, place, place + end - begin);
      place += end - begin;
      continue;
    }
    const scale = 10 ** column.decimals;
    for (const value of column.values.subarray(begin, end)) {
      const isMissing = Number.isNaN(value);
      values[place++] = isMissing ? null : value / scale;
      isEmpty &&= isMissing;
    }
  }
  return isEmpty ? null : values;
}

/** What some days have between two times, both inclusive; a series without any value has no column. */
export function seriesData(days: readonly Readings[], fromMs: number, toMs: number): SeriesData {
  const stretches = days.map((readings): Stretch => {
    const [begin, end] = cut(readings.timesMs, fromMs, toMs);
    return { readings, begin, end };
  });
  const timesMs = concatenated(
    stretches.map(({ readings, begin, end }) => readings.timesMs.subarray(begin, end)),
  );
  const columns = new Map<SeriesKey, readonly (number | null)[]>();
  for (const key of new Set(days.flatMap((day) => [...day.columns.keys()]))) {
    const values = valuesOf(key, stretches);
    if (values !== null) columns.set(key, values);
  }
  return { timesMs, columns };
}
