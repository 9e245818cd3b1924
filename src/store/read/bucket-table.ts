import type { SeriesKey } from "../../core/series.ts";
import type { BucketColumn, BucketData } from "../contract.ts";
import { addPoints, createPoints, numberAt, type Points } from "../format/points.ts";
import { type DayPoints, type PointRange, pointStartMs } from "../keep/tier-points.ts";

/** One series in buckets, scaled by its decimals so far. */
interface Gathered {
  decimals: number;
  readonly points: Points;
}

/** Points of days put into buckets. */
export class Buckets {
  readonly #firstMs: number;
  readonly #stepMs: number;
  readonly #present: Uint8Array;
  readonly #columns = new Map<SeriesKey, Gathered>();

  constructor(firstMs: number, endMs: number, stepMs: number) {
    this.#firstMs = firstMs;
    this.#stepMs = stepMs;
    this.#present = new Uint8Array((endMs - firstMs) / stepMs);
  }

  add({ columns, present }: DayPoints, range: PointRange): void {
    const places = new Uint32Array(range.end - range.begin);
    for (let index = 0; index < places.length; index++) {
      const startMs = pointStartMs(range.day, range.begin + index);
      const place = Math.floor((startMs - this.#firstMs) / this.#stepMs);
      places[index] = place;
      if (present[range.begin + index] === 1) this.#present[place] = 1;
    }
    for (const [key, { decimals, points }] of columns) {
      const into = this.#columnOf(key, decimals);
      const scale = 10 ** (into.decimals - decimals);
      addPoints(into.points, places, { from: points, begin: range.begin, scale });
    }
  }

  /** A column that takes values of so many decimals. */
  #columnOf(key: SeriesKey, decimals: number): Gathered {
    const known = this.#columns.get(key);
    const column = known ?? { decimals, points: createPoints(this.#present.length) };
    if (known === undefined) this.#columns.set(key, column);
    if (decimals <= column.decimals) return column;
    const factor = 10 ** (decimals - column.decimals);
    const { sums, mins, maxs } = column.points;
    for (const numbers of [sums, mins, maxs])
      for (let at = 0; at < numbers.length; at++) numbers[at] = numberAt(numbers, at) * factor;
    column.decimals = decimals;
    return column;
  }

  data(): BucketData {
    const filled: number[] = [];
    for (let place = 0; place < this.#present.length; place++)
      if (this.#present[place] === 1) filled.push(place);
    const columns = [...this.#columns].map(
      ([key, column]) => [key, bucketColumn(column, filled)] as const,
    );
    return {
      timesMs: filled.map((place) => this.#firstMs + place * this.#stepMs),
      columns: new Map(columns.filter(([, { counts }]) => counts.some((count) => count > 0))),
    };
  }
}

function bucketColumn({ decimals, points }: Gathered, filled: readonly number[]): BucketColumn {
  const scale = 10 ** decimals;
  const counts = filled.map((place) => numberAt(points.counts, place));
  const orNull = (numbers: Float64Array): (number | null)[] =>
    filled.map((place, at) => (counts[at] === 0 ? null : numberAt(numbers, place) / scale));
  return {
    counts,
    sums: filled.map((place) => numberAt(points.sums, place) / scale),
    mins: orNull(points.mins),
    maxs: orNull(points.maxs),
  };
}
