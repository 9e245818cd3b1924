import type { Aggregate } from "../core/series.ts";
import type { Span } from "./question.ts";
import { Tally } from "../base/tally.ts";

const [secondMs, minuteMs, hourMs, dayMs] = [1_000, 60_000, 3_600_000, 86_400_000];
/** Times people think in. */
const roundSteps = [
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((count) => count * secondMs),
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((count) => count * minuteMs),
  ...[1, 2, 3, 4, 6, 8, 12].map((count) => count * hourMs),
  ...[1, 2, 3, 4, 7].map((count) => count * dayMs),
];

/** How many steps a span touches. */
function stepsIn({ fromMs, toMs }: Span, stepMs: number): number {
  return Math.floor(toMs / stepMs) - Math.floor(fromMs / stepMs) + 1;
}

/** What a step of a drawing may be. */
export interface StepLimits {
  readonly leastMs: number;
  /** It is a multiple of this. */
  readonly unitMs: number;
  /** So many of them there may be, two at least. */
  readonly most: number;
}

/** The shortest step that a span may be drawn in, or a round one of not more than twice its length. */
export function stepFor(span: Span, { leastMs, unitMs, most }: StepLimits): number {
  const fits = (stepMs: number): boolean => stepsIn(span, stepMs) <= most;
  const wantedMs = Math.max(leastMs, (span.toMs - span.fromMs) / most);
  let shortestMs = Math.ceil(wantedMs / unitMs) * unitMs;
  while (!fits(shortestMs)) shortestMs += unitMs;
  const round = roundSteps.find(
    (stepMs) => stepMs >= shortestMs && stepMs % unitMs === 0 && fits(stepMs),
  );
  return round === undefined || round > 2 * shortestMs ? shortestMs : round;
}

/** How one series goes: what falls into each step of a span. */
export class Course {
  readonly #stepMs: number;
  readonly #first: number;
  readonly #steps: readonly Tally[];

  constructor(span: Span, stepMs: number) {
    this.#stepMs = stepMs;
    this.#first = Math.floor(span.fromMs / stepMs);
    this.#steps = Array.from({ length: stepsIn(span, stepMs) }, () => new Tally());
  }

  add(timeMs: number, value: number): void {
    this.#steps[Math.floor(timeMs / this.#stepMs) - this.#first]?.add(value);
  }

  /** What became of each step; null where there was no value. */
  values(aggregate: Aggregate): (number | null)[] {
    return this.#steps.map((tally) => tally.of(aggregate));
  }
}
