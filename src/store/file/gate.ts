import { deadline, untilAborted } from "../../base/every.ts";
import { createStatus } from "../../base/status.ts";
import { AgentError, errorText } from "../../core/errors.ts";
import type { Clock, ComponentStatus } from "../../core/ports.ts";
import type { DirectoryReport } from "../directory.ts";

/** A disk that is only busy answers within this; a dead mount never does. */
const patienceMs = 3_000;

/** What is written by itself: that one works says nothing of the other. */
export type Writer = "days" | "small";

/** Lets nobody wait for a disk that does not answer, and knows whether it takes what is written. */
export interface Gate {
  readonly status: ComponentStatus;
  /** Another number each time writing works again, or something was lost. */
  readonly epoch: number;
  read<T>(work: () => Promise<T>): Promise<T>;
  write<T>(writer: Writer, work: () => Promise<T>): Promise<T>;
  /** What was known of the contents is outdated. */
  renew(): void;
  /** Lets nothing through any more. */
  close(): void;
}

/** Runs work with a deadline; nothing while an earlier one has had no answer, so that nothing queues. */
function createAttempt(
  clock: Clock,
  isClosed: () => boolean,
): <T>(work: () => Promise<T>) => Promise<T> {
  let unanswered = 0;
  return async (work) => {
    if (isClosed()) throw new AgentError("STORE_UNAVAILABLE", "the store is closed");
    if (unanswered > 0) throw new AgentError("STORE_UNAVAILABLE", "the disk does not answer");
    const running = work();
    const limit = deadline(clock, patienceMs);
    try {
      return await untilAborted(running, limit.signal);
    } catch (cause) {
      if (limit.signal.aborted) {
        unanswered++;
        const settled = (): void => void unanswered--;
        void running.then(settled, settled);
      }
      if (cause instanceof AgentError) throw cause;
      throw new AgentError("STORE_UNAVAILABLE", errorText(cause), { cause });
    } finally {
      limit.clear();
    }
  };
}

/** All calls reject with STORE_UNAVAILABLE when the disk refuses or does not answer. */
export function createGate(clock: Clock, report: DirectoryReport): Gate {
  const status = createStatus(clock, "starting");
  let closed = false;
  const attempt = createAttempt(clock, () => closed);
  const failing = new Set<Writer>();
  let epoch = 1;
  const worked = (writer: Writer): void => {
    report.worked(writer);
    failing.delete(writer);
    if (failing.size > 0) return;
    if (status.current.status === "down") epoch++;
    status.set("ok");
  };
  const failed = (writer: Writer, cause: unknown): void => {
    report.failed(writer, cause);
    failing.add(writer);
    status.set("down", errorText(cause));
  };
  return {
    get status() {
      return status.current;
    },
    get epoch() {
      return epoch;
    },
    read: attempt,
    write: async (writer, work) => {
      try {
        const result = await attempt(work);
        worked(writer);
        return result;
      } catch (cause) {
        if (!closed) failed(writer, cause);
        throw cause;
      }
    },
    renew: () => {
      epoch++;
    },
    close: () => {
      closed = true;
    },
  };
}
