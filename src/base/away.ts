import type { Clock } from "../core/ports.ts";
import { deadline, untilAborted } from "./every.ts";

export interface AwayDeps {
  readonly clock: Clock;
  /** What answers later counts as away. */
  readonly patienceMs: number;
  /** How long it is left alone then. */
  readonly leaveMs: number;
  /** It began to be away. */
  readonly onLost: (cause: unknown) => void;
  /** It is back. */
  readonly onFound: () => void;
}

/** Knows whether something that others need at once is there, so that they do not wait for it one after another. */
export class Away {
  readonly #deps: AwayDeps;
  #lost: { readonly sinceMs: number; readonly untilMs: number } | null = null;

  constructor(deps: AwayDeps) {
    this.#deps = deps;
  }

  /** It was away a moment ago; there is no use in asking. */
  get isLeftAlone(): boolean {
    return this.#lost !== null && this.#deps.clock.monotonic() < this.#lost.untilMs;
  }

  get isAway(): boolean {
    return this.#lost !== null;
  }

  /** How long it is away; 0: it is there as far as is known. */
  get forMs(): number {
    return this.#lost === null ? 0 : this.#deps.clock.monotonic() - this.#lost.sinceMs;
  }

  /** Its answer. Rejects when it does not come soon, or is no answer. */
  async ask<T>(work: Promise<T>): Promise<T> {
    const limit = deadline(this.#deps.clock, this.#deps.patienceMs);
    try {
      const answer = await untilAborted(work, limit.signal);
      const wasLost = this.#lost !== null;
      this.#lost = null;
      if (wasLost) this.#deps.onFound();
      return answer;
    } catch (cause) {
      const nowMs = this.#deps.clock.monotonic();
      const before = this.#lost;
      this.#lost = {
        sinceMs: before?.sinceMs ?? nowMs,
        untilMs: nowMs + this.#deps.leaveMs,
      };
      if (before === null) this.#deps.onLost(cause);
      throw cause;
    } finally {
      limit.clear();
    }
  }
}
