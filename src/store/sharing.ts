import { Away } from "../base/away.ts";
import type { Queue, SharedOutbox } from "../core/delivery.ts";
import { AgentError, errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { OwnJob, OwnJobs } from "./own-jobs.ts";

/** A store that takes longer must not hold up a message: it has two seconds from the sample to the robot. */
const patienceMs = 600;
/** After it did not answer, it is left alone for so long. */
export const awayMs = 1_000;
/** How soon, and how often then, an agent looks what has become of its jobs while another sends them. */
export const firstLookMs = 2_000;
export const lookEveryMs = 10_000;

export interface SharingDeps {
  readonly shared: SharedOutbox;
  readonly jobs: OwnJobs;
  readonly clock: Clock;
  readonly log: Log;
  /** The store is back; it may have lost what was in it. */
  readonly onFound: () => void;
}

/** Gives the jobs of this agent to the agents that share a store, and knows what becomes of them. */
export class Sharing {
  readonly #deps: SharingDeps;
  readonly #away: Away;
  /** Why the store is away, and whether that was said. */
  #cause: unknown = null;
  #isSaid = false;
  /** The store has no room for more, monotonic. */
  #fullUntilMs = 0;

  constructor(deps: SharingDeps) {
    const { clock, log, onFound } = deps;
    this.#deps = deps;
    this.#away = new Away({
      clock,
      patienceMs,
      leaveMs: awayMs,
      onLost: (cause) => {
        this.#cause = cause;
      },
      onFound: () => {
        if (this.#isSaid) log.info("messages sent by the fleet again");
        this.#isSaid = false;
        onFound();
      },
    });
  }

  get shared(): SharedOutbox {
    return this.#deps.shared;
  }

  get isLeftAlone(): boolean {
    return this.#away.isLeftAlone;
  }

  get awayForMs(): number {
    return this.#away.forMs;
  }

  /** Says, once, that messages are sent without it. */
  sayAlone(): void {
    if (this.#isSaid || !this.#away.isAway) return;
    this.#isSaid = true;
    this.#deps.log.warn("messages sent by this agent alone", { cause: errorText(this.#cause) });
  }

  /** An answer of the store. Rejects when it does not come soon. */
  ask<T>(work: Promise<T>): Promise<T> {
    return this.#away.ask(work);
  }

  /** Gives a job to those who share the store; false: it stays here. */
  async share(entry: OwnJob, queue: Queue): Promise<boolean> {
    const { shared, clock } = this.#deps;
    if (this.isLeftAlone) return false;
    entry.place = "going";
    try {
      const answer = await this.ask(shared.enqueue(queue, entry.job, entry.receipt));
      entry.place = answer === "full" ? "here" : "shared";
      entry.lookAtMs = clock.monotonic() + firstLookMs;
      if (answer === "over") this.#deps.jobs.delete(entry.job.id);
      return answer !== "full";
    } catch {
      Object.assign(entry, { place: "here", isSuspect: true });
      return false;
    }
  }

  /** Gives everything to those who share the store. Rejects when it went away. */
  async shareAll(queue: Queue): Promise<void> {
    if (this.#deps.clock.monotonic() < this.#fullUntilMs) return;
    for (const entry of this.#deps.jobs.of(queue))
      if (entry.place === "here" && !(await this.share(entry, queue))) {
        if (this.isLeftAlone) throw new AgentError("STORE_UNAVAILABLE", "it went away");
        // There is no room, for the others neither.
        this.#fullUntilMs = this.#deps.clock.monotonic() + lookEveryMs;
        return;
      }
  }

  /** Finds out what became of the jobs that another sends; one that the store has lost is given to it again. */
  async look(queue: Queue): Promise<void> {
    const { shared, clock } = this.#deps;
    const nowMs = clock.monotonic();
    const due = this.#deps.jobs
      .of(queue)
      .filter(({ place, lookAtMs }) => place === "shared" && lookAtMs <= nowMs);
    if (due.length === 0) return;
    const found = await this.ask(
      shared.look(
        queue,
        due.map(({ job }) => job.id),
      ),
    );
    for (const entry of due) {
      const state = found.get(entry.job.id);
      entry.lookAtMs = nowMs + lookEveryMs;
      if (state === "over") this.#deps.jobs.delete(entry.job.id);
      else if (state === undefined) await this.share(entry, queue);
    }
  }

  /** Takes out of shared queues what arrived another way. */
  async clearLeftovers(): Promise<void> {
    const { shared } = this.#deps;
    if (this.isLeftAlone) return;
    for (const { queue, ids } of this.#deps.jobs.leftovers()) {
      const gone = new Set(ids);
      await this.ask(shared.remove(queue, [...gone]));
      this.#deps.jobs.cleared({ queue, ids: gone });
    }
  }
}
