import { unreachable } from "../../core/errors.ts";
import type { Aggregate, SeriesKey } from "../../core/series.ts";
import type { SeriesResult } from "../ports.ts";

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
        // Six decimals: more than is stored, without the tail of binary fractions.
        return Math.round((this.#sum / this.#count) * 1e6) / 1e6;
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
class Buckets {
  readonly #keys: readonly SeriesKey[];
  readonly #open: readonly Bucket[];
  readonly #aggregate: Aggregate;
  #openMs: number | null = null;
  #timesMs: number[] = [];
  #columns: (number | null)[][];

  constructor(keys: readonly SeriesKey[], aggregate: Aggregate) {
    this.#keys = keys;
    this.#open = keys.map(() => new Bucket());
    this.#aggregate = aggregate;
    this.#columns = keys.map(() => []);
  }

  add(startMs: number, values: readonly (number | null)[]): void {
    if (startMs !== this.#openMs) this.close();
    this.#openMs = startMs;
    for (const [at, value] of values.entries())
      if (value !== null && Number.isFinite(value)) this.#open[at]?.add(value);
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
  const buckets = new Buckets(keys, aggregate);
  for await (const { timesMs, columns } of results) {
    const given = keys.map((key) => columns.get(key));
    for (const [row, timeMs] of timesMs.entries())
      buckets.add(
        Math.floor(timeMs / stepMs) * stepMs,
        given.map((column) => column?.[row] ?? null),
      );
    yield buckets.take();
  }
  buckets.close();
  yield buckets.take();
}
