import type { Job, Outbox } from "../../core/delivery.ts";

/** Incidents with critical news first, then the oldest news; the news of one incident stay in their order. */
function byUrgency(jobs: readonly Job[]): readonly Job[] {
  const incidentOf = ({ message }: Job): string => message.incident.id;
  const critical = new Set(
    jobs.filter(({ message }) => message.incident.level === "critical").map(incidentOf),
  );
  const order = (job: Job): number => (critical.has(incidentOf(job)) ? 0 : 1);
  return jobs.toSorted((a, b) => order(a) - order(b) || a.createdAtMs - b.createdAtMs);
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
      byUrgency(waiting(channel).filter(({ notBeforeMs }) => notBeforeMs <= nowMs)).slice(0, max),
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
