import { backoffMs } from "../base/backoff.ts";
import type { AlertMessage, Job, Ongoing, Outcome } from "../core/delivery.ts";
import type { ComponentStatus, Running } from "../core/ports.ts";
import { createChooser, longestNapMs, type Chooser } from "./chooser.ts";
import { startKeeper } from "./keeper.ts";
import { createLedger, type Ledger } from "./ledger.ts";
import { redacted } from "./outcome.ts";
import { createSender, sendDeadlineMs, type Sender } from "./sender.ts";
import { jobOf, type DrainerDeps, type Target } from "./target.ts";

/** How long a message is worth trying. */
const giveUpAfterMs = 24 * 3_600_000;
const retryLimits = { firstMs: 1_000, maxMs: 5 * 60_000 };
const outboxRetryLimits = { firstMs: 1_000, maxMs: 30_000 };
/** How many jobs of a removed channel are settled at a time. */
const abandonedAtOnce = 100;
/** Every job is due by then. */
const endOfTimeMs = Number.MAX_SAFE_INTEGER;

/** Takes the jobs of one target out of the outbox, one after another, as its limits allow. */
export class Drainer {
  readonly target: Target;
  readonly #deps: DrainerDeps;
  readonly #ledger: Ledger;
  readonly #cutOff = new AbortController();
  readonly #sender: Sender;
  readonly #chooser: Chooser;
  /** Jobs that are settled and could not be taken out; they must not be sent again. */
  readonly #stuck = new Set<string>();
  readonly #done: Promise<void>;
  #keeper: Running | undefined;
  #nap = new AbortController();
  #awake = false;
  #stopped = false;
  #testing: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;

  /** Starts once `after` is over: a predecessor may still be sending. */
  constructor(target: Target, deps: DrainerDeps, after: Promise<void>) {
    this.target = target;
    this.#deps = deps;
    this.#ledger = createLedger(target, deps);
    this.#sender = createSender(target, deps, this.#cutOff.signal);
    this.#chooser = createChooser(target.name, deps);
    this.#done = this.#run(after);
  }

  get status(): ComponentStatus {
    return this.#ledger.status;
  }

  /** Says that there may be a job. */
  wake(): void {
    this.#awake = true;
    this.#nap.abort();
  }

  /**
   * Puts a message into the outbox and its receipt on file; not one that was told before, when that may be. Never
   * rejects.
   */
  async enqueue(message: AlertMessage, again: boolean): Promise<void> {
    const { outbox, clock, log } = this.#deps;
    const { name } = this.target;
    const job = jobOf(message, name, clock.now());
    if (again && (await this.#ledger.isSettled(job))) return;
    await this.#ledger.write(job, { outcome: "pending", attempts: 0, code: null, message: null });
    try {
      await outbox.enqueue(job);
    } catch (cause) {
      log.error("message.not_queued", { channel: name, message: message.id, cause });
      const lost = { attempts: 0, code: "not_queued", message: "the outbox did not take it" };
      await this.#ledger.write(job, { outcome: "dead", ...lost });
    }
    this.wake();
  }

  /** Takes every job out unsent, because the target is no more. To be called after `stop`. */
  async abandon(code: string, reason: string): Promise<void> {
    for (;;) {
      const jobs = await this.#deps.outbox.due(this.target.name, endOfTimeMs, abandonedAtOnce);
      if (jobs.length === 0) return;
      for (const job of jobs) {
        const { attempts } = job;
        await this.#ledger.write(job, { outcome: "refused", attempts, code, message: reason });
        await this.#takeOut(job);
      }
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
    const next = await this.#chooser.next();
    if ("waitMs" in next) return next.waitMs;
    if (this.#stopped) return 0;
    if (this.#stuck.has(next.id)) {
      await this.#takeOut(next);
      return 0;
    }
    const leave = await this.#sender.take();
    if ("waitMs" in leave) return leave.waitMs;
    const outcome = await this.#sender.send(next.message, leave);
    if (outcome.code !== "aborted") this.#ledger.judge(outcome);
    await this.#settle(next, outcome);
    return 0;
  }

  async #settle(job: Job, outcome: Outcome): Promise<void> {
    const { clock, random } = this.#deps;
    const attempts = job.attempts + 1;
    const { code } = outcome;
    if (outcome.outcome !== "retry") {
      const message = outcome.outcome === "sent" ? null : outcome.reason;
      await this.#ledger.write(job, { outcome: outcome.outcome, attempts, code, message });
      return this.#takeOut(job);
    }
    const delayMs = Math.max(outcome.retryAfterMs ?? 0, backoffMs(attempts, retryLimits, random));
    const notBeforeMs = clock.now() + delayMs;
    if (notBeforeMs - job.createdAtMs >= giveUpAfterMs) {
      const message = `given up after ${attempts} attempts: ${outcome.reason}`;
      await this.#ledger.write(job, { outcome: "dead", attempts, code, message });
      return this.#takeOut(job);
    }
    const later = { ...job, attempts, notBeforeMs };
    const message = outcome.reason;
    await this.#ledger.write(job, { outcome: "retrying", attempts, code, message });
    await this.#deps.outbox.defer(later);
    this.#chooser.deferred(later);
  }

  async #takeOut(job: Job): Promise<void> {
    this.#stuck.add(job.id);
    await this.#deps.outbox.remove(job);
    this.#stuck.delete(job.id);
    this.#chooser.settled(job);
  }

  async #test(message: AlertMessage): Promise<Outcome> {
    const { clock } = this.#deps;
    const leave = await this.#sender.take();
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
      message: outcome.outcome === "sent" ? null : outcome.reason,
    });
    return outcome;
  }
}
