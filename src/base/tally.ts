import { unreachable } from "../core/errors.ts";
import type { Aggregate } from "../core/series.ts";

/** What some values have together; at least one of them. */
export interface Together {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
}

/** What is known of values that came in time order. */
export class Tally {
  #count = 0;
  #sum = 0;
  #min = Number.POSITIVE_INFINITY;
  #max = Number.NEGATIVE_INFINITY;
  #last = 0;

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    this.#last = value;
  }

  /** Takes in what some values had together; the last of them is not known. */
  merge({ count, sum, min, max }: Together): void {
    this.#count += count;
    this.#sum += sum;
    this.#min = Math.min(this.#min, min);
    this.#max = Math.max(this.#max, max);
  }

  /** Takes in what came after. */
  append(later: Tally): void {
    if (later.#count === 0) return;
    this.merge({ count: later.#count, sum: later.#sum, min: later.#min, max: later.#max });
    this.#last = later.#last;
  }

  /** Begins anew. */
  clear(): void {
    this.#count = 0;
    this.#sum = 0;
    this.#min = Number.POSITIVE_INFINITY;
    this.#max = Number.NEGATIVE_INFINITY;
  }

  /** Null: there was no value. */
  of(aggregate: Aggregate): number | null {
    if (this.#count === 0) return null;
    switch (aggregate) {
      case "avg":
        return this.#sum / this.#count;
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
