import { errorText } from "../core/errors.ts";
import type { Clock, ComponentStatus, Log, Running } from "../core/ports.ts";
import { backoffMs } from "../base/backoff.ts";
import { createStatus, type StatusKeeper } from "../base/status.ts";
import { EventBudget } from "./budget.ts";
import type { KubeClient, KubeReply } from "./client.ts";
import {
  eventName,
  eventNamespace,
  microTime,
  toEvent,
  type Note,
  type Regarding,
} from "./event.ts";
import { refusalOf } from "./objects.ts";
import { explainRefusal, isDenied, rights, type Right } from "./rights.ts";

/** An object Events are about; null while its UID is not known. The same function is the same object. */
export type Subject = () => Regarding | null;

export interface RecorderDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
  /** Who speaks: the name of the node. */
  readonly instance: string;
  /** Masks secrets in texts. */
  readonly redact: (text: string) => string;
}

/** What became of Events so far. */
export interface EventCounters {
  readonly sent: number;
  readonly renewed: number;
  /** Over the budget of their object. */
  readonly suppressed: number;
  /** Refused for good, or too many were waiting. */
  readonly dropped: number;
}

interface Task {
  readonly note: Note;
  readonly subject: Subject;
  /** How often it has been so, for a renewal; null: a new Event. */
  readonly count: number | null;
  /** Whether the budget was asked: another try is the same Event and costs nothing more. */
  isPaid: boolean;
}

/** Why something has to wait: `degraded`, for this object alone; `down`, for all of them. */
interface Wait {
  readonly kind: "wait";
  readonly reason: string;
  readonly state: "degraded" | "down";
}

/** One object's Events wait, after each failure longer. */
interface Hold {
  readonly wait: Wait;
  readonly failures: number;
  /** Monotonic. */
  readonly untilMs: number;
}

type Outcome =
  Wait | { readonly kind: "done" } | { readonly kind: "drop"; readonly reason: string };

/** Events that wait for the API server; Events live an hour there, older ones would tell nothing. */
const maxWaiting = 256;
const backoffLimits = { firstMs: 1_000, maxMs: 30_000 };
const idleMs = 3_600_000;

function rightFor({ kind }: Regarding): { right: Right; where: string } {
  return kind === "Node"
    ? { right: rights.nodeEvents, where: " in namespace default" }
    : { right: rights.ownEvents, where: " in the agent's namespace" };
}

function judge({ status, body }: KubeReply, regarding: Regarding): Outcome {
  // 409: it is there already, a lost answer or another agent made it.
  if ((status >= 200 && status < 300) || status === 409) return { kind: "done" };
  const refusal = refusalOf(status, body);
  const { right, where } = rightFor(regarding);
  const reason = explainRefusal(right, where, refusal);
  // A policy does not change its mind about an Event.
  if (isDenied(refusal)) return { kind: "drop", reason };
  if (status === 401 || status === 403) return { kind: "wait", reason, state: "degraded" };
  if (status === 429 || status >= 500) return { kind: "wait", reason, state: "down" };
  return { kind: "drop", reason };
}

/** Sends Events one after another; whoever records one never waits for the API server. */
export class EventRecorder {
  readonly #deps: RecorderDeps;
  readonly #status: StatusKeeper;
  readonly #budget = new EventBudget();
  readonly #waiting: Task[] = [];
  readonly #counters = { sent: 0, renewed: 0, suppressed: 0, dropped: 0 };
  /** Objects whose Events wait for something of their own. */
  readonly #held = new Map<Subject, Hold>();
  /** How often in a row the API server was not there for any of them. */
  #failures = 0;
  #rests: AbortController | null = null;

  constructor(deps: RecorderDeps) {
    this.#deps = deps;
    this.#status = createStatus(deps.clock, "ok");
  }

  get status(): ComponentStatus {
    return this.#status.current;
  }

  get counters(): EventCounters {
    return { ...this.#counters };
  }

  /** A new Event. */
  record(note: Note, subject: Subject): void {
    this.#enqueue({ note, subject, count: null, isPaid: false });
  }

  /** It is still so: the Event's series counts it; one that is not there any more is made anew. */
  renew(note: Note, subject: Subject, count: number): void {
    // What waits already says as much, and must not be pushed out by its own renewals.
    if (this.#waiting.some(({ note: { key } }) => key === note.key)) return;
    this.#enqueue({ note, subject, count, isPaid: false });
  }

  start(): Running {
    const stopped = new AbortController();
    const done = this.#run(stopped.signal);
    return {
      stop: async () => {
        stopped.abort();
        await done;
      },
    };
  }

  #enqueue(task: Task): void {
    if (this.#waiting.length >= maxWaiting) {
      this.#waiting.shift();
      this.#counters.dropped += 1;
    }
    this.#waiting.push(task);
    this.#rests?.abort();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#deps;
    while (!signal.aborted) {
      if (!this.#waiting.some(({ subject }) => this.#isDue(subject))) {
        await this.#rest(signal);
        continue;
      }
      const down = await this.#sendAll(signal);
      if (signal.aborted) return;
      this.#failures = down === null ? 0 : this.#failures + 1;
      this.#note(down ?? this.#firstHeld());
      if (down !== null)
        await clock.sleep(backoffMs(this.#failures, backoffLimits, random), signal);
    }
  }

  /** Until something new is recorded, or an object's Events are to be tried again. */
  async #rest(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const untilMs = [...this.#held.values()].map((hold) => hold.untilMs - clock.monotonic());
    this.#rests = new AbortController();
    await clock.sleep(Math.min(idleMs, ...untilMs), AbortSignal.any([this.#rests.signal, signal]));
    this.#rests = null;
  }

  #isDue(subject: Subject): boolean {
    return (this.#held.get(subject)?.untilMs ?? 0) <= this.#deps.clock.monotonic();
  }

  /** Sends what can be sent now; why nothing at all can be, null: it can. */
  async #sendAll(signal: AbortSignal): Promise<Wait | null> {
    for (const task of this.#waiting.slice()) {
      // What is one object's trouble holds up its own Events, in their order, and no other's.
      if (!this.#isDue(task.subject)) continue;
      const outcome = await this.#send(task, signal);
      if (signal.aborted) return null;
      if (outcome.kind !== "wait") this.#settle(task, outcome);
      else if (outcome.state === "down") return outcome;
      else this.#hold(task.subject, outcome);
    }
    const subjects = new Set(this.#waiting.map(({ subject }) => subject));
    for (const subject of this.#held.keys()) if (!subjects.has(subject)) this.#held.delete(subject);
    return null;
  }

  #hold(subject: Subject, wait: Wait): void {
    const { clock, random } = this.#deps;
    const failures = 1 + (this.#held.get(subject)?.failures ?? 0);
    const untilMs = clock.monotonic() + backoffMs(failures, backoffLimits, random);
    this.#held.set(subject, { wait, failures, untilMs });
  }

  #firstHeld(): Wait | null {
    const [first] = this.#held.values();
    return first?.wait ?? null;
  }

  #settle(task: Task, outcome: Exclude<Outcome, Wait>): void {
    this.#held.delete(task.subject);
    const at = this.#waiting.indexOf(task);
    // Not there: too many came meanwhile.
    if (at >= 0) this.#waiting.splice(at, 1);
    if (outcome.kind === "done") return;
    this.#counters.dropped += 1;
    this.#deps.log.warn("kubernetes event refused", { reason: outcome.reason });
  }

  #note(wait: Wait | null): void {
    const { log } = this.#deps;
    if (wait === null) {
      if (this.#status.set("ok")) log.info("kubernetes events sent again");
    } else if (this.#status.set(wait.state, wait.reason))
      log.warn("kubernetes events waiting", { reason: wait.reason });
  }

  async #send(task: Task, signal: AbortSignal): Promise<Outcome> {
    const regarding = task.subject();
    if (regarding === null)
      return { kind: "wait", reason: "the object is not known yet", state: "degraded" };
    try {
      return task.count === null
        ? await this.#create(task, regarding, signal)
        : await this.#renew(task, regarding, { count: task.count, signal });
    } catch (cause) {
      return { kind: "wait", reason: errorText(cause), state: "down" };
    }
  }

  async #create(
    task: Task,
    regarding: Regarding,
    signal: AbortSignal,
    atMs = task.note.atMs,
  ): Promise<Outcome> {
    const { client, clock, instance, redact } = this.#deps;
    const { note } = task;
    if (!task.isPaid && !this.#budget.take(regarding.uid, clock.monotonic())) {
      this.#counters.suppressed += 1;
      return { kind: "done" };
    }
    task.isPaid = true;
    const offsetMs = client.serverNowMs() - clock.now();
    const reply = await client.request({
      method: "POST",
      path: this.#path(regarding),
      body: toEvent({ ...note, atMs, text: redact(note.text) }, regarding, { instance, offsetMs }),
      signal,
    });
    const outcome = judge(reply, regarding);
    if (outcome.kind === "done") this.#counters.sent += 1;
    return outcome;
  }

  async #renew(
    task: Task,
    regarding: Regarding,
    { count, signal }: { readonly count: number; readonly signal: AbortSignal },
  ): Promise<Outcome> {
    const { client, clock } = this.#deps;
    const { note } = task;
    const reply = await client.request({
      method: "PATCH",
      path: `${this.#path(regarding)}/${encodeURIComponent(eventName(regarding.name, note.key))}`,
      patch: "merge",
      // Everything else of an Event is immutable; a series counts from two.
      body: { series: { count, lastObservedTime: microTime(client.serverNowMs()) } },
      signal,
    });
    if (reply.status === 404) return this.#create(task, regarding, signal, clock.now());
    const outcome = judge(reply, regarding);
    if (outcome.kind === "done") this.#counters.renewed += 1;
    return outcome;
  }

  #path(regarding: Regarding): string {
    const namespace = encodeURIComponent(eventNamespace(regarding));
    return `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
  }
}
