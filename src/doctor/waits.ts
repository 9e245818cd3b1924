import type { Clock } from "../core/ports.ts";
import { deadline, untilAborted } from "../base/every.ts";

/** Waits with deadlines, and knows what was not waited for any longer. */
export class Waits {
  readonly #clock: Clock;
  #leftBehind = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Work that overran its deadline and still goes on; it may hold a thread that a normal exit would wait for. */
  get leftBehind(): number {
    return this.#leftBehind;
  }

  /** Rejects with a TimeoutError at the deadline, whatever the work does. */
  async within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = deadline(this.#clock, ms);
    let running = true;
    const done = work(limit.signal).finally(() => {
      if (limit.signal.aborted) this.#leftBehind -= 1;
      running = false;
    });
    limit.signal.addEventListener("abort", () => {
      if (running) this.#leftBehind += 1;
    });
    try {
      return await untilAborted(done, limit.signal);
    } finally {
      limit.clear();
    }
  }
}
