import type { Job, Outbox } from "../../core/delivery.ts";

/** Critical messages first, then the oldest. */
function byUrgency(a: Job, b: Job): number {
  const critical = (job: Job): number => (job.message.incident.level === "critical" ? 0 : 1);
  return critical(a) - critical(b) || a.createdAtMs - b.createdAtMs;
}

/** An outbox in the memory of this agent; a job enqueued twice under one id is kept once. */
export function createMemoryOutbox(): Outbox {
  const channels = new Map<string, Map<string, Job>>();
  const jobsOf = (channel: string): Map<string, Job> => {
    const known = channels.get(channel);
    if (known !== undefined) return known;
    const fresh = new Map<string, Job>();
    channels.set(channel, fresh);
    return fresh;
  };
  const waiting = (channel: string): readonly Job[] => [...(channels.get(channel)?.values() ?? [])];
  return {
    enqueue: async (job) => {
      const jobs = jobsOf(job.channel);
      if (!jobs.has(job.id)) jobs.set(job.id, job);
    },
    due: async (channel, nowMs, max) =>
      waiting(channel)
        .filter(({ notBeforeMs }) => notBeforeMs <= nowMs)
        .sort(byUrgency)
        .slice(0, max),
    defer: async (job) => {
      jobsOf(job.channel).set(job.id, job);
    },
    remove: async (job) => {
      const jobs = channels.get(job.channel);
      jobs?.delete(job.id);
      if (jobs?.size === 0) channels.delete(job.channel);
    },
    depth: async () => new Map([...channels].map(([channel, jobs]) => [channel, jobs.size])),
    nextDueMs: async (channel) =>
      waiting(channel).reduce<number | null>(
        (next, { notBeforeMs }) => (next === null ? notBeforeMs : Math.min(next, notBeforeMs)),
        null,
      ),
  };
}
