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

/** The news of one incident, in the order they came. */
type Story = readonly Job[];

/** What an incident has come to: by the order in which news came, whatever clocks and retries say. */
function newest(story: Story): AlertMessage {
  const last = story.at(-1);
  if (last === undefined) throw new TypeError("a story has at least one job");
  return last.message;
}

/** Whether a message is a digest. */
export function isDigest(content: AlertMessage | Digest): content is Digest {
  return "items" in content;
}

function storiesOf(waiting: readonly Waiting[]): Story[] {
  const byIncident = Map.groupBy(waiting, ({ job }) => job.message.incident.id);
  return [...byIncident.values()].map((all) => all.map(({ job }) => job));
}

/** Critical first, what is over last. */
function byUrgency(a: Story, b: Story): number {
  const rank = (story: Story): number => {
    const { incident, kind } = newest(story);
    return kind === "resolved" ? -1 : levels.indexOf(incident.level);
  };
  return rank(b) - rank(a);
}

/** One message that tells all the news of an incident: what it has come to. */
function alone(story: Story): Parcel {
  const content = newest(story);
  return { jobs: story, content, digest: story.length > 1 ? content.id : null };
}

function itemOf(story: Story): DigestItem {
  return {
    message: newest(story),
    isFirst: story.some(({ message }) => message.kind === "firing"),
  };
}

/** The same jobs make the same digest, so that who gets it twice can tell. */
function digestId(jobs: readonly Job[]): string {
  const hash = createHash("sha256");
  for (const id of jobs.map(({ id }) => id).toSorted()) hash.update(`${id}\n`);
  return `digest-${hash.digest("hex").slice(0, 32)}`;
}

function together(stories: readonly Story[], atMs: number): Parcel {
  const jobs = stories.flat();
  const id = digestId(jobs);
  const publicUrl = stories.map((story) => newest(story).publicUrl).find((url) => url !== null);
  return {
    jobs,
    content: { id, atMs, items: stories.map(itemOf), publicUrl: publicUrl ?? null },
    digest: id,
  };
}

/**
 * What is to be sent next of what waits, in the order it came; null: nothing is due. One by one, an incident's news keep
 * their order: what comes later waits for what is to be tried again.
 */
export function nextAlone(waiting: readonly Waiting[]): Parcel | null {
  const byIncident = Map.groupBy(waiting, ({ job }) => job.message.incident.id);
  const [first] = [...byIncident.values()]
    .flatMap((all) => {
      const [first] = all;
      if (first === undefined || first.dueInMs > 0) return [];
      const isCritical = all.some(({ job }) => job.message.incident.level === "critical");
      return [{ job: first.job, rank: isCritical ? 0 : 1 }];
    })
    .toSorted((a, b) => a.rank - b.rank);
  return first === undefined ? null : alone([first.job]);
}

/**
 * What is to be sent next where many may go as one, at most so many incidents; null: nothing waits. When something is
 * due, what is to be tried again later goes along: that saves messages, and people hear all at once.
 */
export function nextTogether(
  waiting: readonly Waiting[],
  { atMs, most = Number.POSITIVE_INFINITY }: { readonly atMs: number; readonly most?: number },
): Parcel | null {
  const stories = storiesOf(waiting).toSorted(byUrgency);
  const [first] = stories;
  if (first === undefined) return null;
  const isTogether = stories.length > mostAlone && most > 1;
  return isTogether ? together(stories.slice(0, most), atMs) : alone(first);
}
