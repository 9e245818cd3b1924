import type { Job } from "../core/delivery.ts";
import type { DrainerDeps } from "./target.ts";

/** How long a drainer rests at most; only jobs that another process left behind need it. */
export const longestNapMs = 60_000;
/** How many due jobs are searched for the one that must go first. */
const searched = 100;

/** Knows which job of a channel goes next. */
export interface Chooser {
  /** The job to send now, or how long there is none. */
  next(): Promise<Job | { waitMs: number }>;
  deferred(job: Job): void;
  settled(job: Job): void;
}

/**
 * Chooses the next job: critical first, then the oldest. A recovery waits for the earlier news of its incident that is
 * to be tried again, or people would read that it is over before it began.
 */
export function createChooser(channel: string, { outbox, clock }: DrainerDeps): Chooser {
  const waiting = new Map<string, Job>();
  const goesBefore = (job: Job): Job | undefined =>
    job.message.kind !== "resolved"
      ? undefined
      : [...waiting.values()].find(
          (other) =>
            other.id !== job.id &&
            other.message.incident.id === job.message.incident.id &&
            other.createdAtMs <= job.createdAtMs,
        );
  const next = async (): Promise<Job | { waitMs: number }> => {
    const nowMs = clock.now();
    const [job] = await outbox.due(channel, nowMs, 1);
    if (job === undefined) {
      const dueMs = await outbox.nextDueMs(channel);
      return { waitMs: dueMs === null ? longestNapMs : Math.max(1, dueMs - clock.now()) };
    }
    const before = goesBefore(job);
    if (before === undefined) return job;
    if (before.notBeforeMs > nowMs) {
      await outbox.defer({ ...job, notBeforeMs: before.notBeforeMs });
      return { waitMs: 0 };
    }
    const found = (await outbox.due(channel, nowMs, searched)).find(({ id }) => id === before.id);
    if (found === undefined) waiting.delete(before.id);
    return found ?? job;
  };
  return {
    next,
    deferred: (job) => waiting.set(job.id, job),
    settled: (job) => waiting.delete(job.id),
  };
}
