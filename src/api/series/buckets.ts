import { unreachable } from "../../core/errors.ts";
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

/** What is known of one series in the bucket being filled. */
class Bucket {
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #last = 0;

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    this.#last = value;
  }

  /** Adds what several samples had together; the last of them is not known. */
  merge({ counts, sums, mins, maxs }: BucketValues, row: number): void {
    const [min, max] = [mins[row] ?? null, maxs[row] ?? null];
    if (min === null || max === null) return;
    this.#count += counts[row] ?? 0;
    this.#sum += sums[row] ?? 0;
    this.#min = Math.min(this.#min, min);
    this.#max = Math.max(this.#max, max);
  }

  /** The value of the bucket, null when it held none; the next one begins. */
  take(aggregate: Aggregate): number | null {
    const value = this.#count === 0 ? null : this.#value(aggregate);
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = Number.NEGATIVE_INFINITY;
    return value;
  }

  #value(aggregate: Aggregate): number {
    switch (aggregate) {
      case "avg":
        return rounded(this.#sum / this.#count);
      case "min":
        return this.#min;
      case "max":
        return this.#max;
      case "last":
        return this.#last;
      default:
        return unreachable(aggregate);
    }
  }
}

/** A table of buckets under way: one open row, and the rows that are done. */
export class Buckets {
  readonly #keys: readonly SeriesKey[];
  readonly #open: readonly Bucket[];
  readonly #stepMs: number;
  readonly #aggregate: Aggregate;
  #openMs: number | null = null;
  #timesMs: number[] = [];
  #columns: (number | null)[][];

  constructor(keys: readonly SeriesKey[], stepMs: number, aggregate: Aggregate) {
    this.#stepMs = stepMs;
    this.#keys = keys;
    this.#open = keys.map(() => new Bucket());
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
      for (const [at, column] of given.entries())
        if (column !== undefined) this.#open[at]?.merge(column, row);
    }
  }

  /** Ends the open row, if there is one. */
  close(): void {
    if (this.#openMs === null) return;
    this.#timesMs.push(this.#openMs);
    for (const [at, bucket] of this.#open.entries())
      this.#columns[at]?.push(bucket.take(this.#aggregate));
    this.#openMs = null;
  }

  /** The rows that are done, which are then forgotten. */
  take(): SeriesResult {
    const columns = new Map(this.#keys.map((key, at) => [key, this.#columns[at] ?? []]));
    const timesMs = this.#timesMs;
    this.#timesMs = [];
    this.#columns = this.#keys.map(() => []);
    return { timesMs, columns };
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
