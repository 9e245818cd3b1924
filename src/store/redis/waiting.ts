import { systemClock } from "../../base/clock.ts";
import { AgentError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";

/** Everything that waits for an answer of Redis. */
export interface Waiting {
  /** Throws STORE_UNAVAILABLE when nothing more may wait: too much does, or nothing was answered for too long. */
  admit(): void;
  /**
   * The work's outcome, or a rejection with STORE_UNAVAILABLE at the deadline, whatever the work does; `bytes` were sent
   * for it.
   */
  within<T>(work: Promise<T>, bytes: number): Promise<T>;
}

/** A frozen Redis holds up nobody for longer. */
export const patienceMs = 3_000;

/** With nothing answered for so long, nothing more is sent: what waits until then is all that is ever in memory. */
const stalledMs = 1_000;

/** Who asks about a whole fleet asks a few nodes at a time; each takes some 6 kB while it waits. */
const maxWaiting = 1_024;

/** A compaction sends a day at once, some hundred kilobytes; this many of them fit into the agent's memory. */
const maxWaitingBytes = 8 * 1_024 * 1_024;

/** Without a reason of our own, each abort makes an error with a stack that nobody reads. */
const idle = "idle";

interface Entry {
  readonly endMs: number;
  readonly bytes: number;
  readonly giveUp: () => void;
}

function tooLate(ms: number): AgentError {
  return new AgentError(
    "STORE_UNAVAILABLE",
    `no answer in ${(ms / 1_000).toFixed(1).replace(/\.0$/, "")} s`,
  );
}

/**
 * Deadlines with one timer for all of them. They keep the system's time, as sockets do, whatever clock the agent has.
 */
class Deadlines implements Waiting {
  readonly #clock: Clock;
  /** In the order of their ends. */
  readonly #entries = new Set<Entry>();
  #bytes = 0;
  #answeredMs: number;
  #idle = new AbortController();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#answeredMs = clock.monotonic();
  }

  admit(): void {
    const { size } = this.#entries;
    if (size === 0) return;
    const silentMs = this.#clock.monotonic() - this.#answeredMs;
    if (silentMs > stalledMs) throw tooLate(silentMs);
    if (size >= maxWaiting || this.#bytes >= maxWaitingBytes)
      throw new AgentError("STORE_UNAVAILABLE", `${size} questions wait for redis`);
  }

  within<T>(work: Promise<T>, bytes: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const entry = {
        endMs: this.#clock.monotonic() + patienceMs,
        bytes,
        giveUp: () => reject(tooLate(patienceMs)),
      };
      this.#begin(entry);
      work.then(resolve, reject).finally(() => this.#end(entry));
    });
  }

  #begin(entry: Entry): void {
    if (this.#entries.size === 0) this.#answeredMs = this.#clock.monotonic();
    this.#entries.add(entry);
    this.#bytes += entry.bytes;
    if (this.#entries.size > 1) return;
    this.#idle = new AbortController();
    void this.#watch(this.#idle.signal);
  }

  #end(entry: Entry): void {
    this.#answeredMs = this.#clock.monotonic();
    if (this.#remove(entry) && this.#entries.size === 0) this.#idle.abort(idle);
  }

  #remove(entry: Entry): boolean {
    if (!this.#entries.delete(entry)) return false;
    this.#bytes -= entry.bytes;
    return true;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    for (;;) {
      const [oldest] = this.#entries;
      if (oldest === undefined) return;
      await this.#clock.sleep(Math.max(1, oldest.endMs - this.#clock.monotonic()), signal);
      if (signal.aborted) return;
      const nowMs = this.#clock.monotonic();
      for (const entry of this.#entries) {
        if (entry.endMs > nowMs) break;
        this.#remove(entry);
        entry.giveUp();
      }
    }
  }
}

export function createWaiting(clock = systemClock): Waiting {
  return new Deadlines(clock);
}
