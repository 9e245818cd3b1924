import { unreachable } from "../core/errors.ts";
import type { Aggregate } from "../core/series.ts";

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

  /** Takes in what came after. */
  append(later: Tally): void {
    if (later.#count === 0) return;
    this.#count += later.#count;
    this.#sum += later.#sum;
    this.#min = Math.min(this.#min, later.#min);
    this.#max = Math.max(this.#max, later.#max);
    this.#last = later.#last;
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
