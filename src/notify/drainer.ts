import { backoffMs } from "../base/backoff.ts";
import type { AlertMessage, Job, Lead, Ongoing, Outcome, Waiting } from "../core/delivery.ts";
import type { ComponentStatus, Running } from "../core/ports.ts";
import { atMost } from "../base/every.ts";
import { startKeeper } from "./keeper.ts";
import { createLedger, type Entry, type Ledger } from "./ledger.ts";
import { redacted } from "./outcome.ts";
import { nextAlone, nextTogether, type Parcel } from "./parcel.ts";
import { whileLeading } from "./leading.ts";
import { Splitting } from "./splitting.ts";
import { createSender, sendDeadlineMs, type Sender } from "./sender.ts";
import { jobOf, type DrainerDeps, type Target } from "./target.ts";

/** How long a message is worth trying. */
const giveUpAfterMs = 24 * 3_600_000;
/** A clock that was wrong when the message was made gives up no message. */
const leastTries = 20;
const retryLimits = { firstMs: 1_000, maxMs: 5 * 60_000 };
const outboxRetryLimits = { firstMs: 1_000, maxMs: 30_000 };
/** How long a drainer rests at most; only jobs that another agent left behind need it. */
const longestNapMs = 60_000;
const activeMs = 60_000;
/** How long a channel that failed is called so when nothing waits for it and nothing was sent to it. */
const forgetAfterMs = 10 * 60_000;
/** Of more than this, the others have their turn next. */
const readAtOnce = 1_000;
/** Ending the lead is a courtesy: it ends by itself. */
const endingMs = 300;

/** How long nothing is due of what waits. */
function restOf(waiting: readonly Waiting[], { keepEveryMs }: Lead): number {
  const dues = waiting.map(({ dueInMs }) => dueInMs).filter((dueInMs) => dueInMs > 0);
  return Math.min(keepEveryMs, ...dues);
}

/** Takes the jobs of one target out of the outbox, one after another, as its limits allow. */
export class Drainer {
  readonly target: Target;
  readonly #deps: DrainerDeps;
  readonly #ledger: Ledger;
  readonly #cutOff = new AbortController();
  readonly #sender: Sender;
  readonly #done: Promise<void>;
  #keeper: Running | undefined;
  #nap = new AbortController();
  #awake = false;
  #stopped = false;
  #testing: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;
  #lead: Lead | null = null;
  readonly #splitting = new Splitting();
  #sentAtMs = Number.NEGATIVE_INFINITY;
  /** Before this there is no leave to send, monotonic. */
  #leaveAtMs = 0;

  /** Starts once `after` is over: a predecessor may still be sending. */
  constructor(target: Target, deps: DrainerDeps, after: Promise<void>) {
    this.target = target;
    this.#deps = deps;
    this.#ledger = createLedger(target, deps);
    this.#sender = createSender(target, deps, this.#cutOff.signal);
    this.#done = this.#run(after);
  }

  get status(): ComponentStatus {
    return this.#ledger.status;
  }

  /** Whether it has sent a message within the last minute. */
  get isActive(): boolean {
    return this.#deps.clock.monotonic() - this.#sentAtMs < activeMs;
  }

  /** Says that there may be a job. */
  wake(): void {
    this.#awake = true;
    this.#nap.abort();
  }

  /** Puts a message into the outbox with its receipt; not one that was told before, when that may be. Never rejects. */
  async enqueue(message: AlertMessage, again: boolean): Promise<void> {
    const { outbox, clock } = this.#deps;
    const { name, queue } = this.target;
    const job = jobOf(message, name, clock.now());
    if (again && (await this.#ledger.isSettled(job))) return;
    const pending = { outcome: "pending", attempts: 0, code: null, message: null } as const;
    await outbox.enqueue(queue, job, this.#ledger.receipt(job, pending));
    this.wake();
  }

  /** Takes out what this agent has for it unsent, because the target is no more. To be called after `stop`. */
  async abandon(code: string, reason: string): Promise<void> {
    for (const job of await this.#deps.outbox.withdraw(this.target.name)) {
      const { attempts } = job;
      await this.#ledger.write(job, { outcome: "refused", attempts, code, message: reason });
    }
  }

  /** One message at once, past the outbox, without retries; its receipt is written. */
  sendNow(message: AlertMessage): Promise<Outcome> {
    const sending = this.#test(message);
    this.#testing = Promise.allSettled([this.#testing, sending]);
    return sending;
  }

  /** From now on a channel that must be told again and again what goes on is told. */
  keepFiring(ongoing: () => Ongoing): void {
    const { channel } = this.target;
    const { clock, redactor } = this.#deps;
    if (channel.keepFiring === undefined || this.#stopped) return;
    const judge = (outcome: Outcome): void => this.#ledger.judge(redacted(outcome, redactor));
    this.#keeper ??= startKeeper(channel.keepFiring, ongoing, { clock, judge });
  }

  /** Takes no more jobs, waits for the message on its way, cuts it off after the grace, closes the channel. */
  async stop(graceMs = sendDeadlineMs): Promise<void> {
    const { clock, log } = this.#deps;
    this.#stopped = true;
    const kept = this.#keeper?.stop();
    this.wake();
    const timer = new AbortController();
    void clock.sleep(graceMs, timer.signal).then(() => this.#cutOff.abort(new Error("stopping")));
    await Promise.all([this.#done, this.#testing, kept]);
    timer.abort();
    await this.#endLead();
    this.#closed ??= this.target.channel.close().catch((cause: unknown) => {
      log.warn("channel.close_failed", { channel: this.target.name, cause });
    });
    await this.#closed;
  }

  async #run(after: Promise<void>): Promise<void> {
    const { log, random } = this.#deps;
    await after;
    let failures = 0;
    while (!this.#stopped) {
      try {
        await this.#rest(await this.#step());
        failures = 0;
      } catch (cause) {
        failures += 1;
        if (failures === 1) log.warn("outbox.failing", { channel: this.target.name, cause });
        await this.#rest(backoffMs(failures, outboxRetryLimits, random));
      }
    }
  }

  async #rest(ms: number): Promise<void> {
    if (ms > 0 && !this.#awake && !this.#stopped) {
      this.#nap = new AbortController();
      await this.#deps.clock.sleep(Math.min(ms, longestNapMs), this.#nap.signal);
    }
    this.#awake = false;
  }

  /** One step; returns how long there is nothing to do. */
  async #step(): Promise<number> {
    const leading = await this.#deps.outbox.lead(this.target.queue);
    this.#lead = "lead" in leading ? leading.lead : null;
    if (!("lead" in leading)) {
      if (leading.waitMs === null) this.#forget();
      return leading.waitMs ?? longestNapMs;
    }
    const { lead } = leading;
    const restMs = this.#leaveAtMs - this.#deps.clock.monotonic();
    if (restMs > 0) return Math.min(restMs, lead.keepEveryMs);
    const waiting = await lead.waiting(readAtOnce);
    const parcel = this.#choose(waiting);
    if (parcel === null) return restOf(waiting, lead);
    if (this.#stopped) return 0;
    const leave = await this.#sender.take();
    if ("waitMs" in leave) {
      this.#leaveAtMs = this.#deps.clock.monotonic() + leave.waitMs;
      return Math.min(leave.waitMs, lead.keepEveryMs);
    }
    this.#sentAtMs = this.#deps.clock.monotonic();
    const answer = await whileLeading(
      lead,
      this.#deps.clock,
      this.#sender.send(parcel.content, leave),
    );
    const outcome = this.#splitting.judge(parcel, answer);
    if (outcome.code !== "aborted") this.#ledger.judge(outcome);
    await this.#settle(lead, parcel, outcome);
    return 0;
  }

  /** What failed here long ago has arrived by another agent since: nothing waits any more. */
  #forget(): void {
    const idleMs = this.#deps.clock.monotonic() - this.#sentAtMs;
    if (!this.target.queue.isOwn && idleMs >= forgetAfterMs) this.#ledger.forget();
  }

  #choose(waiting: readonly Waiting[]): Parcel | null {
    return this.target.channel.sendDigest === undefined
      ? nextAlone(waiting)
      : nextTogether(waiting, { atMs: this.#deps.clock.now(), most: this.#splitting.most });
  }

  async #settle(lead: Lead, { jobs, digest }: Parcel, outcome: Outcome): Promise<void> {
    const { log, random } = this.#deps;
    // One delay for all, so that they are tried again together.
    const attempts = Math.max(...jobs.map((job) => job.attempts + 1));
    const backedOffMs = backoffMs(attempts, retryLimits, random);
    const all = jobs.map((job) => this.#judge(job, outcome, { digest, backedOffMs }));
    const isOurs = await lead.settle(
      all.map(({ job, entry, retryInMs }) => ({
        job,
        receipt: this.#ledger.receipt(job, entry),
        retryInMs,
      })),
    );
    if (!isOurs) {
      log.warn("another agent sends these messages now", { channel: this.target.name });
      return;
    }
    for (const { job, entry } of all) this.#ledger.count(job, entry);
  }

  /** What an attempt makes of a job. */
  #judge(
    before: Job,
    outcome: Outcome,
    { digest, backedOffMs }: { readonly digest: string | null; readonly backedOffMs: number },
  ): { job: Job; entry: Entry; retryInMs: number | null } {
    const { clock } = this.#deps;
    const job = { ...before, attempts: before.attempts + 1 };
    const { attempts, createdAtMs } = job;
    const { code } = outcome;
    if (outcome.outcome === "sent")
      return {
        job,
        entry: { outcome: "sent", attempts, code, message: outcome.note ?? null, digest },
        retryInMs: null,
      };
    const { reason } = outcome;
    if (outcome.outcome === "refused")
      return {
        job,
        entry: { outcome: "refused", attempts, code, message: reason, digest },
        retryInMs: null,
      };
    const delayMs = Math.max(outcome.retryAfterMs ?? 0, backedOffMs);
    if (attempts >= leastTries && clock.now() + delayMs - createdAtMs >= giveUpAfterMs) {
      const message = `given up after ${attempts} attempts: ${reason}`;
      return { job, entry: { outcome: "dead", attempts, code, message }, retryInMs: null };
    }
    return {
      job,
      entry: { outcome: "retrying", attempts, code, message: reason },
      retryInMs: delayMs,
    };
  }

  /** Lets another agent lead what waits. */
  async #endLead(): Promise<void> {
    const lead = this.#lead;
    this.#lead = null;
    if (lead === null) return;
    // It ends by itself where it cannot be ended.
    await atMost(
      this.#deps.clock,
      endingMs,
      lead.end().catch(() => {}),
    );
  }

  async #test(message: AlertMessage): Promise<Outcome> {
    const { clock } = this.#deps;
    const leave = await this.#sender.takeNow();
    if ("waitMs" in leave) {
      const reason = "the service takes no more messages for the moment";
      return { outcome: "retry", code: "rate_limited", reason, retryAfterMs: leave.waitMs };
    }
    const job = jobOf(message, this.target.name, clock.now());
    const outcome = await this.#sender.send(message, leave);
    this.#ledger.judge(outcome);
    await this.#ledger.write(job, {
      outcome: outcome.outcome === "retry" ? "dead" : outcome.outcome,
      attempts: 1,
      code: outcome.code,
      message: outcome.outcome === "sent" ? (outcome.note ?? null) : outcome.reason,
    });
    return outcome;
  }
}
