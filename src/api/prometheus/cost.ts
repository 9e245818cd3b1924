import { AgentError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

/** Twice the fleet this agent is made for. */
const maxNodes = 2_000;
/** A thousand nodes for a month: three commands to the store each, some seconds. */
const maxNodeDays = 40_000;
/** Label sets held at a time, some 10 MB. */
const maxSeries = 20_000;
/** Samples looked at for one answer: a week of 330 series, some seconds of work. */
const maxSamples = 20_000_000;
/** Parts of windows that overlap, held at a time: some 50 MB. */
const maxParts = 1_000_000;
/** Values of one answer, held as doubles until it is sent: 16 MB. */
const maxValues = 2_000_000;

/** What a question has cost so far; a bound that is passed throws LIMIT_EXCEEDED, a time that is over DEADLINE_EXCEEDED. */
export class Cost {
  readonly #clock: Clock;
  readonly #deadlineMs: number;
  readonly #gone: () => boolean;
  readonly #sums = new Map<string, number>();

  /** The time begins to run now; it is also over when nobody waits any more. */
  constructor(clock: Clock, timeoutMs: number, gone: () => boolean) {
    this.#clock = clock;
    this.#gone = gone;
    this.#deadlineMs = clock.monotonic() + timeoutMs;
  }

  checkTime(): void {
    if (this.#gone() || this.#clock.monotonic() > this.#deadlineMs)
      throw new AgentError("DEADLINE_EXCEEDED", "query timed out in query execution");
  }

  nodes(count: number): void {
    this.#add("nodes", count, maxNodes);
  }

  nodeDays(count: number): void {
    this.#add("days of nodes", count, maxNodeDays);
  }

  series(count: number): void {
    this.#add("series", count, maxSeries);
  }

  samples(count: number): void {
    this.#add("samples", count, maxSamples);
  }

  values(count: number): void {
    this.#add("values", count, maxValues);
  }

  parts(count: number): void {
    this.#add("parts of windows held at once", count, maxParts);
  }

  #add(what: string, count: number, most: number): void {
    const sum = Math.ceil((this.#sums.get(what) ?? 0) + count);
    this.#sums.set(what, sum);
    if (sum > most)
      throw new AgentError(
        "LIMIT_EXCEEDED",
        `the query takes ${sum} ${what}, more than ${most}: narrow it by labels, ask for a shorter time or a larger step`,
      );
  }
}
