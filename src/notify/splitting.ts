import type { Outcome } from "../core/delivery.ts";
import { isDigest, type Parcel } from "./parcel.ts";

/** So many messages of one alert each, refused with one code in a row, and it is not what they say. */
const refusedInARow = 2;

/**
 * Keeps one alert whose text a service refuses from taking all others in a digest with it: a digest that is refused is
 * tried again in halves, until it is known who is to blame.
 */
export class Splitting {
  #most = Number.POSITIVE_INFINITY;
  #code = "";
  #inARow = 0;

  /** How many incidents may go together. */
  get most(): number {
    return this.#most;
  }

  /** What an answer means for the alerts in a parcel. */
  judge({ content }: Parcel, outcome: Outcome): Outcome {
    if (outcome.outcome === "sent") {
      this.#inARow = 0;
      this.#most = this.#most >= 1_000 ? Number.POSITIVE_INFINITY : this.#most * 2;
      return outcome;
    }
    if (outcome.outcome === "retry") return outcome;
    const { code, reason } = outcome;
    if (!isDigest(content)) {
      this.#inARow = code === this.#code ? this.#inARow + 1 : 1;
      this.#code = code;
      // The service refuses everything: what waits hears so at once.
      if (this.#inARow >= refusedInARow) this.#most = Number.POSITIVE_INFINITY;
      return outcome;
    }
    if (this.#inARow >= refusedInARow && code === this.#code) return outcome;
    this.#most = Math.max(1, Math.floor(content.items.length / 2));
    return { outcome: "retry", code, reason: `${reason}; tried again in smaller messages` };
  }
}
