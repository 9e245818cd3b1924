import { createHash } from "node:crypto";
import type { AlertMessage, Digest, DigestItem, Job, Waiting } from "../core/delivery.ts";
import { levels } from "../core/rule.ts";

/** What goes out as one message, and the jobs it tells. */
export interface Parcel {
  readonly jobs: readonly Job[];
  readonly content: AlertMessage | Digest;
  /** What the receipts of several jobs name. */
  readonly digest: string | null;
}

/** More incidents than this at once are told as one message. */
const mostAlone = 2;

/** The news of one incident, oldest first. */
interface Story {
  readonly jobs: readonly Job[];
  readonly dueInMs: number;
}

function newest({ jobs }: Story): AlertMessage {
  const last = jobs.at(-1);
  if (last === undefined) throw new TypeError("a story has at least one job");
  return last.message;
}

/** Whether a message is a digest. */
export function isDigest(content: AlertMessage | Digest): content is Digest {
  return "items" in content;
}

function storiesOf(waiting: readonly Waiting[]): Story[] {
  const byIncident = Map.groupBy(waiting, ({ job }) => job.message.incident.id);
  return [...byIncident.values()].map((all) => ({
    jobs: all.map(({ job }) => job).toSorted((a, b) => a.createdAtMs - b.createdAtMs),
    dueInMs: Math.min(...all.map(({ dueInMs }) => dueInMs)),
  }));
}

/** Critical first, what is over last; of equal ones the oldest. */
function byUrgency(a: Story, b: Story): number {
  const rank = (story: Story): number => {
    const { incident, kind } = newest(story);
    return kind === "resolved" ? -1 : levels.indexOf(incident.level);
  };
  const since = ({ jobs }: Story): number => jobs[0]?.createdAtMs ?? 0;
  return rank(b) - rank(a) || since(a) - since(b);
}

/** One message that tells all the news of an incident: what it has come to. */
function alone(story: Story): Parcel {
  const content = newest(story);
  return { jobs: story.jobs, content, digest: story.jobs.length > 1 ? content.id : null };
}

function itemOf(story: Story): DigestItem {
  return {
    message: newest(story),
    isFirst: story.jobs.some(({ message }) => message.kind === "firing"),
  };
}

/** The same jobs make the same digest, so that who gets it twice can tell. */
function digestId(jobs: readonly Job[]): string {
  const hash = createHash("sha256");
  for (const id of jobs.map(({ id }) => id).toSorted()) hash.update(`${id}\n`);
  return `digest-${hash.digest("hex").slice(0, 32)}`;
}

function together(stories: readonly Story[], atMs: number): Parcel {
  const jobs = stories.flatMap((story) => story.jobs);
  const id = digestId(jobs);
  const publicUrl = stories.map((story) => newest(story).publicUrl).find((url) => url !== null);
  return {
    jobs,
    content: { id, atMs, items: stories.map(itemOf), publicUrl: publicUrl ?? null },
    digest: id,
  };
}

/**
 * What is to be sent next; null: nothing is due. One by one, an incident's news keep their order: what comes later waits
 * for what is to be tried again.
 */
export function nextAlone(waiting: readonly Waiting[]): Parcel | null {
  const [first] = [...Map.groupBy(waiting, ({ job }) => job.message.incident.id).values()]
    .flatMap((all) => {
      const [first] = all.toSorted((a, b) => a.job.createdAtMs - b.job.createdAtMs);
      if (first === undefined || first.dueInMs > 0) return [];
      const isCritical = all.some(({ job }) => job.message.incident.level === "critical");
      return [{ job: first.job, rank: isCritical ? 0 : 1 }];
    })
    .toSorted((a, b) => a.rank - b.rank || a.job.createdAtMs - b.job.createdAtMs);
  return first === undefined ? null : alone({ jobs: [first.job], dueInMs: 0 });
}

/**
 * What is to be sent next where many may go as one; null: nothing is due. All the news of an incident go together, those
 * that are to be tried again later with those that are due.
 */
export function nextTogether(waiting: readonly Waiting[], atMs: number): Parcel | null {
  const due = storiesOf(waiting)
    .filter(({ dueInMs }) => dueInMs <= 0)
    .toSorted(byUrgency);
  const [first] = due;
  if (first === undefined) return null;
  return due.length > mostAlone ? together(due, atMs) : alone(first);
}
