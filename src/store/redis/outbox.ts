import { randomUUID } from "node:crypto";
import type {
  Job,
  Lead,
  Leading,
  Queue,
  Receipt,
  Settlement,
  SharedOutbox,
  Waiting,
} from "../../core/delivery.ts";
import { AgentError } from "../../core/errors.ts";
import { isUnsettled } from "../receipt.ts";
import { dayOf } from "../slots.ts";
import { jobSchema } from "../job.ts";
import type { ChannelNotes } from "./receipts.ts";
import { countReply, namesReply, numbersReply, textsReply } from "./replies.ts";
import { retentionSeconds, type SmallDeps } from "./nodes.ts";
import * as scripts from "./outbox-scripts.ts";

export interface OutboxTimes {
  /** Whoever leads and dies holds up the others no longer. */
  readonly leadMs: number;
  /** After a connection, jobs of before are left alone this long. */
  readonly graceMs: number;
}

/** Who delivered jobs while the server was away comes back within five seconds, and takes them out. */
const defaultTimes: OutboxTimes = { leadMs: 5_000, graceMs: 8_000 };

/** A message is given up after a day; its queue goes an hour later. */
const expireSeconds = 25 * 3_600;

/** Some 2.5 kB each: what a robot that is down may take of the store is 25 MB. The others wait with their agents. */
const maxJobs = 10_000;

/** A script that the server runs later than this has no effect: after 600 ms whoever asked goes another way. */
const enqueueWithinMs = 500;

/** What cannot be read here is left for agents of a newer version. */
const unreadableMs = 600_000;

/** The server's time, from when on jobs are taken, and how long that holds. */
interface Quiet {
  readonly epoch: number;
  readonly sinceMs: number;
  readonly untilMs: number;
}

function tooLate(): AgentError {
  return new AgentError("STORE_UNAVAILABLE", "redis took the message too late");
}

/** Knows the server's time without asking each time. */
class ServerTime {
  readonly #deps: Pick<SmallDeps, "connection" | "clock">;
  readonly #graceMs: number;
  #quiet: Quiet = { epoch: -1, sinceMs: 0, untilMs: 0 };
  #aheadMs = 0;

  constructor(deps: Pick<SmallDeps, "connection" | "clock">, graceMs: number) {
    this.#deps = deps;
    this.#graceMs = graceMs;
  }

  /** Asks once a connection, or anew. */
  async learn(anew = false): Promise<void> {
    const { connection, clock } = this.#deps;
    const epoch = connection.epoch();
    if (this.#quiet.epoch === epoch && !anew) return;
    const [reply] = await connection.run([["time"]]);
    const [seconds = 0, micros = 0] = textsReply(reply).map(Number);
    const nowMs = seconds * 1_000 + Math.floor(micros / 1_000);
    this.#aheadMs = nowMs - clock.monotonic();
    if (this.#quiet.epoch !== epoch)
      this.#quiet = { epoch, sinceMs: nowMs, untilMs: nowMs + this.#graceMs };
  }

  /** Not later than it is there. */
  now(): number {
    return Math.floor(this.#deps.clock.monotonic() + this.#aheadMs);
  }

  /** Days since 1970. */
  day(): number {
    return dayOf(this.now());
  }

  /** Jobs of before are left alone; 0: none are. */
  since(): number {
    return this.now() < this.#quiet.untilMs ? this.#quiet.sinceMs : 0;
  }

  /** How long some are left alone. */
  quietMs(): number {
    return Math.max(0, this.#quiet.untilMs - this.now());
  }
}

class RedisOutbox implements SharedOutbox {
  readonly #deps: SmallDeps & { readonly channels: ChannelNotes };
  readonly #times: OutboxTimes;
  readonly #time: ServerTime;
  /** Who leads; another with each start, because a former run knows nothing of this one. */
  readonly #holder = randomUUID();

  constructor(deps: SmallDeps & { readonly channels: ChannelNotes }, times: OutboxTimes) {
    this.#deps = deps;
    this.#times = times;
    this.#time = new ServerTime(deps, times.graceMs);
  }

  async enqueue(queue: Queue, job: Job, receipt: Receipt): Promise<"waits" | "over" | "full"> {
    const endsMs = this.#deps.clock.monotonic() + enqueueWithinMs;
    const answer = await this.#enqueue(queue, { job, receipt, endsMs }, false);
    await this.#deps.channels.note(queue.channel);
    return answer;
  }

  async lead(queue: Queue): Promise<Leading> {
    await this.#time.learn();
    const since = this.#time.since();
    const { waiting, lead } = this.#deps.keys.queue(queue);
    const args = [this.#holder, this.#times.leadMs, since, expireSeconds];
    const [fence = 0, waitMs = 0, led = 0] = numbersReply(
      await this.#run(scripts.lead, [waiting, lead], args),
    );
    if (fence > 0) return { lead: this.#leadOf(queue, fence) };
    if (led > 0) return { waitMs, isLed: true };
    if (since > 0)
      return { waitMs: Math.min(waitMs < 0 ? this.#times.graceMs : waitMs, this.#time.quietMs()) };
    return { waitMs: waitMs < 0 ? null : waitMs };
  }

  async look(queue: Queue, ids: readonly string[]): Promise<ReadonlyMap<string, "waits" | "over">> {
    const { connection, keys } = this.#deps;
    await this.#time.learn();
    const { jobs, over } = keys.queue(queue);
    const today = this.#time.day();
    const places = [jobs, over(today), over(today - 1), keys.receipts(queue.channel)];
    const replies = await connection.run(places.map((place) => ["hmget", place, ...ids] as const));
    const [waiting = [], ...others] = replies.map(textsReply);
    return new Map(
      ids.flatMap((id, at): [string, "waits" | "over"][] => {
        if (typeof waiting[at] === "string") return [[id, "waits"]];
        const isOver = others.some((found) => {
          const text = found[at] ?? null;
          return text !== null && !isUnsettled(text);
        });
        return isOver ? [[id, "over"]] : [];
      }),
    );
  }

  async remove(queue: Queue, ids: readonly string[]): Promise<void> {
    await this.#time.learn();
    const { waiting, jobs, came, over } = this.#deps.keys.queue(queue);
    await this.#run(scripts.remove, [waiting, jobs, came, over(this.#time.day())], ids);
  }

  async depth(queue: Queue): Promise<number> {
    const [reply] = await this.#deps.connection.run([
      ["zcard", this.#deps.keys.queue(queue).waiting],
    ]);
    return countReply(reply);
  }

  #leadOf(queue: Queue, fence: number): Lead {
    const { lead } = this.#deps.keys.queue(queue);
    const hold = (ms: number): Promise<unknown> =>
      this.#run(scripts.keep, [lead], [this.#holder, fence, ms]);
    return {
      keepEveryMs: Math.floor(this.#times.leadMs / 3),
      waiting: (max) => this.#waiting(queue, max),
      settle: (all) => this.#settle(queue, fence, all),
      keep: async () => (await hold(this.#times.leadMs)) === 1,
      end: async () => void (await hold(0)),
    };
  }

  async #waiting(queue: Queue, max: number): Promise<readonly Waiting[]> {
    const { waiting, jobs, came } = this.#deps.keys.queue(queue);
    const reply = await this.#run(scripts.read, [waiting, jobs, came], [this.#time.since(), max]);
    const [now, ...flat] = namesReply(reply);
    const found: Waiting[] = [];
    const garbled: string[] = [];
    for (let at = 0; at < flat.length; at += 3) {
      const [id = "", dueAtMs = "", text = ""] = flat.slice(at, at + 3);
      const job = this.#deps.readJson(jobSchema, text, "message");
      if (job === null) garbled.push(id);
      else found.push({ job, dueInMs: Math.max(0, Number(dueAtMs) - Number(now)) });
    }
    if (garbled.length > 0) await this.#run(scripts.putOff, [waiting], [unreadableMs, ...garbled]);
    return found;
  }

  async #settle(queue: Queue, fence: number, all: readonly Settlement[]): Promise<boolean> {
    const { keys, retentionDays } = this.#deps;
    const { waiting, jobs, came, over, lead } = keys.queue(queue);
    const { channel } = queue;
    const own = [waiting, jobs, came, over(this.#time.day()), lead];
    const places = [...own, keys.receiptIds(channel), keys.receipts(channel)];
    const flat = all.flatMap(({ job, receipt, retryInMs }) => [
      job.id,
      retryInMs ?? -1,
      retryInMs === null ? "" : JSON.stringify(job),
      JSON.stringify(receipt),
      receipt.createdAtMs,
    ]);
    const args = [this.#holder, fence, expireSeconds, retentionSeconds(retentionDays), ...flat];
    const settled = (await this.#run(scripts.settle, places, args)) === 1;
    await this.#deps.channels.note(channel);
    return settled;
  }

  async #enqueue(
    queue: Queue,
    what: { readonly job: Job; readonly receipt: Receipt; readonly endsMs: number },
    again: boolean,
  ): Promise<"waits" | "over" | "full"> {
    const { keys, retentionDays, clock } = this.#deps;
    const { job, receipt, endsMs } = what;
    await this.#time.learn(again);
    const leftMs = endsMs - clock.monotonic();
    if (leftMs <= 0) throw tooLate();
    const { waiting, jobs, came, over } = keys.queue(queue);
    const { channel } = queue;
    const today = this.#time.day();
    const own = [waiting, jobs, came, over(today), over(today - 1)];
    const places = [...own, keys.receiptIds(channel), keys.receipts(channel)];
    const limits = [Math.floor(this.#time.now() + leftMs), maxJobs, expireSeconds];
    const about = [job.id, JSON.stringify(job), JSON.stringify(receipt), receipt.createdAtMs];
    const args = [...limits, retentionSeconds(retentionDays), ...about];
    const answer = countReply(await this.#run(scripts.enqueue, places, args));
    if (answer === scripts.answers.late) {
      // When it was not late by our own clock, the server's was changed.
      if (!again && clock.monotonic() < endsMs) return this.#enqueue(queue, what, true);
      throw tooLate();
    }
    if (answer === scripts.answers.full) return "full";
    return answer === scripts.answers.over ? "over" : "waits";
  }

  async #run(
    script: string,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const { connection } = this.#deps;
    return (await connection.run([["eval", script, keys.length, ...keys, ...args]]))[0];
  }
}

/** Queues in Redis; who may take jobs out is decided by its clock. */
export function createRedisOutbox(
  deps: SmallDeps & { readonly channels: ChannelNotes },
  times = defaultTimes,
): SharedOutbox {
  return new RedisOutbox(deps, times);
}
