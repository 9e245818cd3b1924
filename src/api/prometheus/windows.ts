import type { Steps } from "./params.ts";
import type { OverTime } from "./syntax.ts";

/** How old a value may be that still counts as the value of a time; Prometheus' own default. */
export const lookbackMs = 300_000;

/** Makes the values of some times out of the samples of one series, which come in the order of their times. */
export interface StepWriter {
  /** `count` samples taken as one of that time, with the sum, the smallest or the biggest of their values. */
  add(timeMs: number, value: number, count: number): void;
  /** One value a time; NaN where there is none. */
  finish(): Float64Array;
}

function emptyValues(count: number): Float64Array {
  return new Float64Array(count).fill(Number.NaN);
}

/** At every time the newest sample that is not older than five minutes. */
export function newestWriter({ startMs, stepMs, count }: Steps): StepWriter {
  const values = emptyValues(count);
  let at = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  let last = Number.NaN;
  /** Writes the times before one: nothing newer will come for them. */
  const writeBefore = (endMs: number): void => {
    const end = Math.min(count, Math.ceil((endMs - startMs) / stepMs));
    const staleMs = lastMs + lookbackMs;
    for (; at < end && startMs + at * stepMs < staleMs; at++) values[at] = last;
    at = Math.max(at, end);
  };
  return {
    add: (timeMs, value) => {
      writeBefore(timeMs);
      lastMs = timeMs;
      last = value;
    },
    finish: () => {
      writeBefore(Number.POSITIVE_INFINITY);
      return values;
    },
  };
}

/** The widest panes of which all windows are made: what falls into one pane is never told apart. */
export function paneMs(rangeMs: number, stepMs: number): number {
  let [a, b] = [rangeMs, stepMs];
  while (b > 0) [a, b] = [b, a % b];
  return a;
}

/** Samples as one. */
interface Joined {
  readonly value: number;
  readonly count: number;
}
/** Samples that lie in one pane. */
interface Part extends Joined {
  readonly endMs: number;
}
const nothing: Joined = { value: Number.NaN, count: 0 };

/** Parts of a window that slides: what is in it as one, without ever subtracting, which would keep the error of a peak. */
class SlidingParts {
  readonly #join: (a: number, b: number) => number;
  /** The newer parts as they came, and all of them as one. */
  #newer: Part[] = [];
  #newerAll = nothing;
  /** The older parts, the oldest last, each as one with all that are newer than it in this list. */
  #older: Part[] = [];

  constructor(join: (a: number, b: number) => number) {
    this.#join = join;
  }

  #joined(a: Joined, b: Joined): Joined {
    if (a.count === 0 || b.count === 0) return a.count === 0 ? b : a;
    return { value: this.#join(a.value, b.value), count: a.count + b.count };
  }

  push(endMs: number, value: number, count: number): void {
    const part = { endMs, value, count };
    this.#newer.push(part);
    this.#newerAll = this.#joined(this.#newerAll, part);
  }

  /** Forgets the parts that end at a time or before it. */
  drop(untilMs: number): void {
    const isOver = (part: Part | undefined): boolean => part !== undefined && part.endMs <= untilMs;
    while (isOver(this.#older.at(-1))) this.#older.pop();
    if (this.#older.length > 0 || !isOver(this.#newer[0])) return;
    this.#turnOver();
    while (isOver(this.#older.at(-1))) this.#older.pop();
  }

  /** Makes the newer parts the older ones. */
  #turnOver(): void {
    let all = nothing;
    for (const { endMs, ...part } of this.#newer.toReversed()) {
      all = this.#joined(part, all);
      this.#older.push({ endMs, ...all });
    }
    this.#newer = [];
    this.#newerAll = nothing;
  }

  all(): Joined {
    return this.#joined(this.#older.at(-1) ?? nothing, this.#newerAll);
  }
}

const joins: Readonly<Record<OverTime, (a: number, b: number) => number>> = {
  avg: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
};

/** At every time t what a function makes of the samples in (t − range, t]. */
export function windowWriter(
  { startMs, stepMs, count }: Steps,
  { overTime, rangeMs }: { readonly overTime: OverTime; readonly rangeMs: number },
): StepWriter {
  const values = emptyValues(count);
  const join = joins[overTime];
  const parts = new SlidingParts(join);
  const widthMs = paneMs(rangeMs, stepMs);
  let at = 0;
  let pane = { endMs: Number.NEGATIVE_INFINITY, value: Number.NaN, count: 0 };
  /** Writes the times before the end of a pane that is begun: all their samples are there. */
  const writeBefore = (endMs: number): void => {
    const end = Math.min(count, Math.ceil((endMs - startMs) / stepMs));
    for (; at < end; at++) {
      const timeMs = startMs + at * stepMs;
      parts.drop(timeMs - rangeMs);
      const { value, count: samples } = parts.all();
      if (samples > 0) values[at] = overTime === "avg" ? value / samples : value;
      else {
        at = end;
        break;
      }
    }
  };
  const closePane = (): void => {
    if (pane.count > 0) parts.push(pane.endMs, pane.value, pane.count);
  };
  return {
    add: (timeMs, value, samples) => {
      const endMs = startMs + Math.ceil((timeMs - startMs) / widthMs) * widthMs;
      if (endMs === pane.endMs) {
        pane.value = join(pane.value, value);
        pane.count += samples;
        return;
      }
      closePane();
      writeBefore(endMs);
      pane = { endMs, value, count: samples };
    },
    finish: () => {
      closePane();
      writeBefore(Number.POSITIVE_INFINITY);
      return values;
    },
  };
}
