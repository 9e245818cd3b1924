import { Tally } from "../../base/tally.ts";
import type { Aggregate, SeriesKey } from "../../core/series.ts";
import type { BucketResult, BucketValues, SeriesResult } from "../ports.ts";

/** Up to here a million times an average tells its ties from the last bits of a sum. */
const finest = 1e12;

/**
 * Six decimals: more than is stored, without the tail of binary fractions. Ties go away from zero, whatever the last bits
 * of the sum are, so that an average of samples and one of aggregates are the same.
 */
function rounded(average: number): number {
  const millionths = average * 1e6;
  const nudged = Math.abs(millionths) < finest ? millionths * (1 + 2 ** -46) : millionths;
  return Math.round(nudged) / 1e6;
}

/** Takes in the buckets of a row; the last of their samples is not known. */
function merge(tally: Tally, { counts, sums, mins, maxs }: BucketValues, row: number): void {
  const [min, max] = [mins[row] ?? null, maxs[row] ?? null];
  if (min === null || max === null) return;
  tally.merge({ count: counts[row] ?? 0, sum: sums[row] ?? 0, min, max });
}

/** The value of a bucket, null when it held none; the next one begins. */
function takeFrom(tally: Tally, aggregate: Aggregate): number | null {
  const value = tally.of(aggregate);
  tally.clear();
  return value === null || aggregate !== "avg" ? value : rounded(value);
}

/** A table of buckets under way: one open row, and the rows that are done. */
export class Buckets {
  readonly #keys: readonly SeriesKey[];
  readonly #open: readonly Tally[];
  readonly #stepMs: number;
  readonly #aggregate: Aggregate;
  #openMs: number | null = null;
  #timesMs: number[] = [];
  #columns: (number | null)[][];

  constructor(keys: readonly SeriesKey[], stepMs: number, aggregate: Aggregate) {
    this.#stepMs = stepMs;
    this.#keys = keys;
    this.#open = keys.map(() => new Tally());
    this.#aggregate = aggregate;
    this.#columns = keys.map(() => []);
  }

  /** Opens the row of a time, and ends the one before it. */
  #openAt(timeMs: number): void {
    const startMs = Math.floor(timeMs / this.#stepMs) * this.#stepMs;
    if (startMs !== this.#openMs) this.close();
    this.#openMs = startMs;
  }

  addSamples({ timesMs, columns }: SeriesResult): void {
    const given = this.#keys.map((key) => columns.get(key));
    for (const [row, timeMs] of timesMs.entries()) {
      this.#openAt(timeMs);
      for (const [at, column] of given.entries()) {
        const value = column?.[row] ?? null;
        if (value !== null && Number.isFinite(value)) this.#open[at]?.add(value);
      }
    }
  }

  /** Adds buckets of a step that divides this one. */
  addBuckets({ timesMs, columns }: BucketResult): void {
    const given = this.#keys.map((key) => columns.get(key));
    for (const [row, timeMs] of timesMs.entries()) {
      this.#openAt(timeMs);
      for (const [at, tally] of this.#open.entries()) {
        const column = given[at];
        if (column !== undefined) merge(tally, column, row);
      }
    }
  }

  /** Ends the open row, if there is one. */
  close(): void {
    if (this.#openMs === null) return;
    this.#timesMs.push(this.#openMs);
    for (const [at, tally] of this.#open.entries())
      this.#columns[at]?.push(takeFrom(tally, this.#aggregate));
    this.#openMs = null;
  }

  /** The rows that are done, which are then forgotten. */
  take(): SeriesResult {
    const columns = new Map(this.#keys.map((key, at) => [key, this.#columns[at] ?? []]));
    const timesMs = this.#timesMs;
    this.#timesMs = [];
    this.#columns = this.#keys.map(() => []);
    return { timesMs: Float64Array.from(timesMs), columns };
  }
}

/**
 * Puts samples into buckets that begin at multiples of the step and are named by their beginning. Missing values are
 * left out; a bucket without any sample is not there at all.
 */
export async function* bucketed(
  results: AsyncIterable<SeriesResult>,
  keys: readonly SeriesKey[],
  stepMs: number,
  aggregate: Aggregate,
): AsyncGenerator<SeriesResult> {
  const buckets = new Buckets(keys, stepMs, aggregate);
  for await (const samples of results) {
    buckets.addSamples(samples);
    yield buckets.take();
  }
  buckets.close();
  yield buckets.take();
}
