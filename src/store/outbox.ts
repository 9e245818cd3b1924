import type {
  Depth,
  Job,
  Lead,
  Leading,
  Outbox,
  Queue,
  Receipt,
  ReceiptPort,
  Settlement,
  SharedOutbox,
} from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { LocalFiles } from "./local.ts";
import { awayMs, firstLookMs, lookEveryMs, Sharing } from "./sharing.ts";
import { OwnJobs, queueKey, type OwnJob } from "./own-jobs.ts";

/** An outbox whose jobs outlive the agent. */
export interface AgentOutbox extends Outbox {
  /** Takes up the jobs of an earlier run. Never rejects. */
  load(): Promise<void>;
  /** Jobs that no other agent has. */
  readonly here: number;
}

export interface AgentOutboxDeps {
  /** What other agents share; null: nothing. */
  readonly shared: SharedOutbox | null;
  readonly receipts: ReceiptPort;
  readonly local: LocalFiles;
  /** Where jobs are kept beside the agent. */
  readonly file: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What other agents share is back. */
  readonly onBack?: () => void;
}

/** Jobs in the shared queue of a store that is away for so long are sent from here: who leads it would have by now. */
const takeBackMs = 15_000;
/** Jobs of others that somebody leads are cared for, most likely. */
const othersEveryMs = 30_000;
/** No service asks for a longer rest. */
const longestRetryMs = 3_600_000;
/** How often a queue is looked at for what dead agents left; of several, each in its turn. */
const patrolEveryMs = 600_000;

/** Messages are sent by whoever leads the queue that all agents share; while that is out of reach, by this agent alone. */
class LocalFirstOutbox implements AgentOutbox {
  readonly #deps: AgentOutboxDeps;
  readonly #jobs: OwnJobs;
  /** Null: nobody shares anything. */
  readonly #sharing: Sharing | null;
  /** When each queue was last asked about, monotonic; a queue that is led, or may have been left, is not among them. */
  readonly #asked = new Map<string, number>();
  #isFiling = true;

  constructor(deps: AgentOutboxDeps) {
    const { shared, clock, log } = deps;
    this.#deps = deps;
    this.#jobs = new OwnJobs(deps);
    const onFound = (): void => {
      this.#asked.clear();
      deps.onBack?.();
    };
    this.#sharing =
      shared === null ? null : new Sharing({ shared, jobs: this.#jobs, clock, log, onFound });
  }

  get here(): number {
    return this.#jobs.all().filter(({ place }) => place !== "shared").length;
  }

  load(): Promise<void> {
    return this.#jobs.load();
  }

  async enqueue(queue: Queue, job: Job, receipt: Receipt): Promise<void> {
    if (this.#jobs.get(job.id) !== undefined) return;
    const entry: OwnJob = {
      job,
      receipt,
      queue,
      place: "here",
      isSuspect: false,
      dueAtMs: 0,
      lookAtMs: 0,
    };
    this.#jobs.set(entry);
    // What waits here was decided before, and must come before.
    const isFirst = this.#jobs
      .of(queue)
      .every(({ place, job: { id } }) => place !== "here" || id === job.id);
    const isShared = isFirst && (await this.#sharingOf(queue)?.share(entry, queue));
    if (isShared !== true) await this.#file(receipt);
  }

  kept(): Promise<void> {
    return this.#jobs.kept();
  }

  async lead(queue: Queue): Promise<Leading> {
    this.#adopt(queue);
    const sharing = this.#sharingOf(queue);
    if (sharing === null) return this.#leadHere(queue);
    if (!sharing.isLeftAlone)
      try {
        const leading = await this.#leadShared(sharing, queue);
        if ("lead" in leading) return leading;
        // What the others have no room for.
        const here = this.#leadHere(queue);
        return "lead" in here ? here : leading;
      } catch {
        // Said by whoever asked.
      }
    return this.#leadAlone(sharing, queue);
  }

  async withdraw(channel: string): Promise<readonly Job[]> {
    const entries = this.#jobs.of({ channel });
    for (const entry of entries) this.#over(entry);
    // What the store cannot be told now, it is told with the next question.
    await this.#sharing?.clearLeftovers().catch(() => {});
    return entries.map(({ job }) => job);
  }

  async depth(queue: Queue): Promise<number> {
    const sharing = this.#sharingOf(queue);
    const all = this.#jobs.of(queue);
    if (sharing === null || sharing.isLeftAlone) return all.length;
    try {
      const here = all.filter(({ place }) => place !== "shared").length;
      return here + (await sharing.ask(sharing.shared.depth(queue)));
    } catch {
      return all.length;
    }
  }

  own(): ReadonlyMap<string, Depth> {
    const found = new Map<string, Depth>();
    for (const { job } of this.#jobs.all()) {
      const known = found.get(job.channel) ?? { count: 0, oldestAtMs: null };
      const oldestAtMs = Math.min(known.oldestAtMs ?? job.createdAtMs, job.createdAtMs);
      found.set(job.channel, { count: known.count + 1, oldestAtMs });
    }
    return found;
  }

  /** While the store is away. */
  #leadAlone(sharing: Sharing, queue: Queue): Leading {
    if (sharing.awayForMs >= takeBackMs) this.#jobs.takeBack(queue);
    const here = this.#leadHere(queue);
    if ("lead" in here) sharing.sayAlone();
    const isWaiting = this.#jobs.of(queue).length > 0 || this.#jobs.leftovers().length > 0;
    if ("lead" in here || !isWaiting) return here;
    // What was sent alone must be taken out as soon as the store is back.
    return { waitMs: Math.min(here.waitMs ?? awayMs, awayMs) };
  }

  /** Null: no other agent can send the jobs of a queue. */
  #sharingOf({ isOwn }: Queue): Sharing | null {
    return isOwn ? null : this.#sharing;
  }

  /** Jobs of the channel that wait for another robot are now for this one. */
  #adopt(queue: Queue): void {
    for (const entry of this.#jobs.of(queue)) {
      if (entry.queue?.robot === queue.robot) continue;
      if (entry.queue !== null && (entry.isSuspect || entry.place !== "here"))
        this.#jobs.leave(entry.queue, entry.job.id);
      if (entry.place !== "going") Object.assign(entry, { place: "here", isSuspect: false });
      entry.queue = queue;
      this.#jobs.changed();
    }
  }

  async #leadShared(sharing: Sharing, queue: Queue): Promise<Leading> {
    await sharing.clearLeftovers();
    await sharing.shareAll(queue);
    await sharing.look(queue);
    const isOurs = this.#jobs.of(queue).some(({ place }) => place === "shared");
    if (!isOurs && !this.#isDue(queue)) return { waitMs: null };
    const leading = await sharing.ask(sharing.shared.lead(queue));
    if ("lead" in leading) {
      this.#asked.delete(queueKey(queue));
      return { lead: this.#ownLead(leading.lead, sharing, queue) };
    }
    const { waitMs, isLed = false } = leading;
    if (waitMs === null) this.#asked.set(queueKey(queue), this.#deps.clock.monotonic());
    if (!isOurs) return isLed ? { waitMs: othersEveryMs } : { waitMs };
    // The store may have lost them.
    if (waitMs === null) this.#jobs.lookSoon(queue);
    return { waitMs: Math.min(waitMs ?? firstLookMs, lookEveryMs) };
  }

  /** What others left behind is looked for in turn; what this agent leads, until nothing waits. */
  #isDue(queue: Queue): boolean {
    const askedMs = this.#asked.get(queueKey(queue));
    const everyMs = patrolEveryMs * Math.max(1, this.#asked.size);
    return askedMs === undefined || this.#deps.clock.monotonic() - askedMs >= everyMs;
  }

  /** The lead of the shared queue; what it settles is over here too, even when the store goes away meanwhile. */
  #ownLead(lead: Lead, sharing: Sharing, queue: Queue): Lead {
    return {
      ...lead,
      waiting: (max) => sharing.ask(lead.waiting(max)),
      keep: () => sharing.ask(lead.keep()),
      settle: async (all) => {
        try {
          if (!(await sharing.ask(lead.settle(all)))) return false;
          for (const one of all) this.#note(one);
        } catch {
          for (const one of all) await this.#settleAlone(one, queue);
        }
        return true;
      },
    };
  }

  /** What the store says of jobs is noted here. */
  #note({ job, receipt, retryInMs }: Settlement): void {
    const entry = this.#jobs.get(job.id);
    if (entry === undefined) return;
    if (retryInMs === null) this.#jobs.delete(job.id);
    else this.#retry(entry, { job, receipt, retryInMs });
  }

  /** What the store could not be told. */
  async #settleAlone({ job, receipt, retryInMs }: Settlement, queue: Queue): Promise<void> {
    const entry = this.#jobs.get(job.id);
    if (retryInMs === null) {
      this.#jobs.leave(queue, job.id);
      this.#jobs.delete(job.id);
    } else if (entry === undefined) return;
    else {
      this.#retry(entry, { job, receipt, retryInMs });
      Object.assign(entry, { place: "here", isSuspect: true });
    }
    await this.#file(receipt);
  }

  #retry(entry: OwnJob, { job, receipt, retryInMs }: Settlement & { retryInMs: number }): void {
    Object.assign(entry, { job, receipt, dueAtMs: this.#deps.clock.now() + retryInMs });
    this.#jobs.changed();
  }

  #over(entry: OwnJob): void {
    const { queue, isSuspect, place, job } = entry;
    if (queue !== null && !queue.isOwn && (isSuspect || place !== "here"))
      this.#jobs.leave(queue, job.id);
    this.#jobs.delete(job.id);
  }

  #leadHere(queue: Queue): Leading {
    const { clock } = this.#deps;
    const here = this.#jobs.of(queue).filter(({ place }) => place === "here");
    if (here.length === 0) return { waitMs: null };
    const waiting = () =>
      here.map(({ job, dueAtMs }) => ({
        job,
        // The clock may have been set back since.
        dueInMs: Math.min(Math.max(0, dueAtMs - clock.now()), longestRetryMs),
      }));
    const waitMs = Math.min(...waiting().map(({ dueInMs }) => dueInMs));
    if (waitMs > 0) return { waitMs };
    const settle = async ({ job, receipt, retryInMs }: Settlement): Promise<void> => {
      const entry = this.#jobs.get(job.id);
      if (entry !== undefined && retryInMs === null) this.#over(entry);
      else if (entry !== undefined && retryInMs !== null)
        this.#retry(entry, { job, receipt, retryInMs });
      await this.#file(receipt);
    };
    const lead: Lead = {
      keepEveryMs: lookEveryMs,
      waiting: async (max) => waiting().slice(0, max),
      settle: async (all) => {
        for (const one of all) await settle(one);
        return true;
      },
      keep: async () => true,
      end: async () => {},
    };
    return { lead };
  }

  /** A lost receipt must not stop or repeat a message. */
  async #file(receipt: Receipt): Promise<void> {
    const { receipts, log } = this.#deps;
    try {
      await receipts.put(receipt);
      this.#isFiling = true;
    } catch (cause) {
      const { channel } = receipt;
      if (this.#isFiling) log.warn("receipt.lost", { channel, cause: errorText(cause) });
      this.#isFiling = false;
    }
  }
}

/** The outbox of an agent; what other agents share may be away. */
export function createAgentOutbox(deps: AgentOutboxDeps): AgentOutbox {
  return new LocalFirstOutbox(deps);
}
