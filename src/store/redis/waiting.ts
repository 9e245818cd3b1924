import { systemClock } from "../../base/clock.ts";
import { AgentError } from "../../core/errors.ts";

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

interface Entry {
  readonly endMs: number;
  readonly bytes: number;
  readonly giveUp: () => void;
}

function tooLate(ms: number): AgentError {
  return new AgentError("STORE_UNAVAILABLE", `no answer in ${ms / 1_000} s`);
}

/**
 * Deadlines with one timer for all of them. They keep the system's time, as sockets do, whatever clock the agent has.
 */
export function createWaiting(clock = systemClock): Waiting {
  /** In the order of their ends. */
  const entries = new Set<Entry>();
  let answeredMs = clock.monotonic();
  let bytesWaiting = 0;
  let idle = new AbortController();

  const remove = (entry: Entry): boolean => {
    if (!entries.delete(entry)) return false;
    bytesWaiting -= entry.bytes;
    return true;
  };
  const watch = async (signal: AbortSignal): Promise<void> => {
    for (;;) {
      const [oldest] = entries;
      if (oldest === undefined) return;
      await clock.sleep(Math.max(1, oldest.endMs - clock.monotonic()), signal);
      if (signal.aborted) return;
      const nowMs = clock.monotonic();
      for (const entry of entries) {
        if (entry.endMs > nowMs) break;
        remove(entry);
        entry.giveUp();
      }
    }
  };
  const begin = (entry: Entry): void => {
    if (entries.size === 0) answeredMs = clock.monotonic();
    entries.add(entry);
    bytesWaiting += entry.bytes;
    if (entries.size > 1) return;
    idle = new AbortController();
    void watch(idle.signal);
  };
  const end = (entry: Entry): void => {
    answeredMs = clock.monotonic();
    if (remove(entry) && entries.size === 0) idle.abort();
  };
  return {
    admit: () => {
      if (entries.size === 0) return;
      const silentMs = clock.monotonic() - answeredMs;
      if (silentMs > stalledMs) throw tooLate(silentMs);
      if (entries.size >= maxWaiting || bytesWaiting >= maxWaitingBytes)
        throw new AgentError("STORE_UNAVAILABLE", `${entries.size} questions wait for redis`);
    },
    within: (work, bytes) =>
      new Promise((resolve, reject) => {
        const entry = {
          endMs: clock.monotonic() + patienceMs,
          bytes,
          giveUp: () => reject(tooLate(patienceMs)),
        };
        begin(entry);
        work.then(resolve, reject).finally(() => end(entry));
      }),
  };
}
