import * as v from "valibot";
import type { Job, Queue, Receipt } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { jobSchema } from "./job.ts";
import type { LocalFiles } from "./local.ts";
import { receiptSchema } from "./receipt.ts";

/** A job that this agent made and does not know to be over. */
export interface OwnJob {
  job: Job;
  receipt: Receipt;
  /** Null: of an earlier run that did not say. */
  queue: Queue | null;
  /** Whether the agents that share a store have it, too; `going`: it is being given to them. */
  place: "here" | "going" | "shared";
  /** It may wait in the shared queue though it is here. */
  isSuspect: boolean;
  /** Unix milliseconds. */
  dueAtMs: number;
  /** When it is to be looked for in the shared queue, monotonic. */
  lookAtMs: number;
}

/** Jobs that may still wait in a shared queue though they are over, or wait in another one. */
export interface Leftover {
  readonly queue: Queue;
  readonly ids: ReadonlySet<string>;
}

const savedQueue = v.object({ channel: v.string(), robot: v.string(), isOwn: v.boolean() });
const savedJob = v.object({
  job: jobSchema,
  receipt: receiptSchema,
  queue: savedQueue,
  dueAtMs: v.number(),
  isSuspect: v.boolean(),
});
const savedFile = v.object({
  jobs: v.array(v.unknown()),
  leftovers: v.array(v.object({ queue: savedQueue, ids: v.array(v.string()) })),
});
/** An older version kept a list of jobs alone. */
const olderFile = v.array(v.unknown());
const olderJob = v.looseObject({ notBeforeMs: v.number() });

/** Whoever waits longer was given up by everybody: a message is worth trying for a day. */
const longestMs = 25 * 3_600_000;

/** The receipt of a job that was kept without one. */
function receiptOf({ id, channel, message, createdAtMs, attempts }: Job): Receipt {
  return {
    id,
    alert: message.incident.id,
    channel,
    type: "",
    kind: message.kind,
    outcome: attempts === 0 ? "pending" : "retrying",
    attempts,
    code: null,
    message: null,
    digest: null,
    createdAtMs,
    settledAtMs: null,
  };
}

/** Queues by what tells them apart. */
export function queueKey({ channel, robot }: Queue): string {
  return `${channel}\n${robot}`;
}

export interface OwnJobsDeps {
  readonly local: LocalFiles;
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** This agent's jobs, in memory and in a local file: those that a stopped or killed agent had not sent outlive it. */
export class OwnJobs {
  readonly #deps: OwnJobsDeps;
  readonly #jobs = new Map<string, OwnJob>();
  readonly #leftovers = new Map<string, { queue: Queue; ids: Set<string> }>();
  #dirty = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: OwnJobsDeps) {
    this.#deps = deps;
  }

  get(id: string): OwnJob | undefined {
    return this.#jobs.get(id);
  }

  all(): readonly OwnJob[] {
    return [...this.#jobs.values()];
  }

  of({ channel }: { readonly channel: string }): readonly OwnJob[] {
    return this.all().filter(({ job }) => job.channel === channel);
  }

  set(entry: OwnJob): void {
    this.#jobs.set(entry.job.id, entry);
    this.changed();
  }

  delete(id: string): void {
    if (this.#jobs.delete(id)) this.changed();
  }

  /** They are to be looked for with the next chance. */
  lookSoon(queue: Queue): void {
    for (const entry of this.of(queue)) entry.lookAtMs = 0;
  }

  /** Those that others were to send are here again. */
  takeBack(queue: Queue): void {
    for (const entry of this.of(queue))
      if (entry.place === "shared") Object.assign(entry, { place: "here", isSuspect: true });
  }

  leftovers(): readonly Leftover[] {
    return [...this.#leftovers.values()];
  }

  leave(queue: Queue, id: string): void {
    const known = this.#leftovers.get(queueKey(queue)) ?? { queue, ids: new Set() };
    this.#leftovers.set(queueKey(queue), known);
    known.ids.add(id);
    this.changed();
  }

  cleared({ queue, ids }: Leftover): void {
    const known = this.#leftovers.get(queueKey(queue));
    for (const id of ids) known?.ids.delete(id);
    if (known?.ids.size === 0) this.#leftovers.delete(queueKey(queue));
    this.changed();
  }

  /** Has the file written, once for all changes until it is its turn. */
  changed(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#writing = this.#writing.then(() => this.#write());
  }

  /** Resolves when the file is as everything is now. */
  kept(): Promise<void> {
    return this.#writing;
  }

  /** Takes up the jobs of an earlier run; what is unreadable is dropped with a warning. */
  async load(): Promise<void> {
    const { local, file, log } = this.#deps;
    const text = await local.read(file);
    if (text === null) return;
    try {
      const saved = v.parse(v.union([savedFile, olderFile]), JSON.parse(text));
      const isOlder = Array.isArray(saved);
      const jobs = isOlder ? saved : saved.jobs;
      const unread = jobs.filter((one) => !(isOlder ? this.#takeOlder(one) : this.#takeSaved(one)));
      if (unread.length > 0)
        log.warn("messages of an earlier run unreadable", { file, count: unread.length });
      for (const { queue, ids } of isOlder ? [] : saved.leftovers)
        ids.forEach((id) => this.leave(queue, id));
    } catch (cause) {
      log.warn("messages of an earlier run unreadable", { file, cause: errorText(cause) });
    }
  }

  /** False: it is none of this version. */
  #takeSaved(input: unknown): boolean {
    const saved = v.safeParse(savedJob, input);
    if (!saved.success) return false;
    const { job, receipt, queue, dueAtMs, isSuspect } = saved.output;
    this.#take({ job, receipt, queue, dueAtMs, isSuspect });
    return true;
  }

  #takeOlder(input: unknown): boolean {
    const saved = v.safeParse(olderJob, input);
    if (!saved.success) return false;
    const { notBeforeMs: dueAtMs, ...older } = saved.output;
    const job = v.safeParse(jobSchema, older);
    if (!job.success) return false;
    const receipt = receiptOf(job.output);
    this.#take({ job: job.output, receipt, queue: null, dueAtMs, isSuspect: false });
    return true;
  }

  #take(saved: Omit<OwnJob, "place" | "lookAtMs">): void {
    const { log, clock } = this.#deps;
    const { id, channel, createdAtMs } = saved.job;
    // Its channel was removed while the agent was down.
    if (clock.now() - createdAtMs > longestMs)
      return log.warn("message given up: nobody could send it for a day", { channel, message: id });
    this.set({ ...saved, place: "here", lookAtMs: 0 });
  }

  async #write(): Promise<void> {
    const { local, file } = this.#deps;
    this.#dirty = false;
    const jobs = this.all().flatMap(({ job, receipt, queue, dueAtMs, place, isSuspect }) => {
      const { channel } = job;
      const known = queue ?? { channel, robot: "", isOwn: false };
      return [{ job, receipt, queue: known, dueAtMs, isSuspect: isSuspect || place !== "here" }];
    });
    const leftovers = this.leftovers().map(({ queue, ids }) => ({ queue, ids: [...ids] }));
    await local.write(file, JSON.stringify({ jobs, leftovers }));
  }
}
