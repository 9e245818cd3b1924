import { randomUUID } from "node:crypto";
import { AgentError, errorText } from "../../core/errors.ts";
import type { Clock, ComponentStatus, Log } from "../../core/ports.ts";
import { createClusterLink } from "./cluster.ts";
import { bareName, placeOf, sizeOf, trial, type RedisCommand } from "./commands.ts";
import { createServerLink, type Link, type LinkEvents } from "./link.ts";
import {
  isAbsence,
  lacksOf,
  missingRights,
  rightsLack,
  type Reply,
  type ServerFacts,
} from "./server.ts";
import type { RedisTarget } from "./settings.ts";
import { createWaiting } from "./waiting.ts";
import { createWatch } from "./watch.ts";

export type { RedisCommand } from "./commands.ts";

/** The way to Redis: nothing queues, every answer has a deadline, every reply is looked at. */
export interface RedisConnection {
  start(): void;
  stop(): Promise<void>;
  status(): ComponentStatus;
  /** Counts the times that what was written before may be gone: connections, and losses noticed in between. */
  epoch(): number;
  /** Says that keys are gone that were there: flushed or evicted. Everything that is known is written again. */
  renew(): void;
  /** Goes over to another target, or to another access of the same; meanwhile what is connected stays. */
  retarget(target: RedisTarget): void;
  /**
   * Sends commands, all of one slot, in one pipeline; their replies in the same order. Rejects with STORE_UNAVAILABLE
   * when one of them fails. In a cluster it follows slots that move.
   */
  run(commands: readonly RedisCommand[]): Promise<readonly unknown[]>;
}

export interface ConnectionDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** First word of every key. */
  readonly prefix: string;
}

function createLink(target: RedisTarget, events: LinkEvents): Link {
  return target.form === "cluster"
    ? createClusterLink(target, events)
    : createServerLink(target, events);
}

/** Without a reason of our own, each abort makes an error with a stack that nobody reads. */
const answered = "answered";

/** The client's own errors hold the arguments of the command, a password too: only their text goes on. */
function refusal(command: string, cause: Error): AgentError {
  const verb = isReply(cause) ? "refused" : "did not answer";
  return new AgentError("STORE_UNAVAILABLE", `redis ${verb} ${command}: ${errorText(cause)}`);
}

/** Whether Redis itself answered, with an error; everything else means that it did not answer. */
function isReply(cause: Error): boolean {
  return cause.name === "ReplyError";
}

function notConnected(lastError: string | null): AgentError {
  const why = lastError === null ? "" : `: ${lastError}`;
  return new AgentError("STORE_UNAVAILABLE", `redis is not connected${why}`);
}

/** The connection of one backend. */
class Connection implements RedisConnection {
  readonly #deps: ConnectionDeps;
  readonly #watch;
  readonly #waiting = createWaiting();
  #target: RedisTarget;
  #link: Link;
  /** Takes over when it is ready. */
  #next: Link | null = null;
  /** Why it is not yet. */
  #nextSaid: string | null = null;
  /** Every right has been tried once. */
  #tried = false;
  /** Rights that were refused, in the words of the ACL. */
  readonly #missing = new Set<string>();
  #started = false;
  #stopped = false;
  #epoch = 0;

  constructor(target: RedisTarget, deps: ConnectionDeps) {
    this.#deps = deps;
    this.#watch = createWatch(deps.clock, deps.log);
    this.#target = target;
    this.#link = this.#open(target);
  }

  start(): void {
    this.#started = true;
    this.#link.connect();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#link.close();
    this.#next?.close();
  }

  status(): ComponentStatus {
    return this.#watch.current;
  }

  epoch(): number {
    return this.#epoch;
  }

  renew(): void {
    this.#epoch++;
    this.#deps.log.warn("redis lost keys; writing them again");
  }

  retarget(target: RedisTarget): void {
    const link = this.#open(target);
    this.#next?.close();
    this.#next = null;
    this.#target = target;
    this.#tried = false;
    if (this.#link.isReady) {
      this.#next = link;
      this.#nextSaid = null;
    } else {
      this.#link.close();
      this.#link = link;
    }
    if (this.#started) link.connect();
  }

  async run(commands: readonly RedisCommand[]): Promise<readonly unknown[]> {
    const place = placeOf(commands);
    const link = this.#link;
    if (!link.isReady) throw notConnected(this.#watch.current.lastError);
    this.#waiting.admit();
    const replies = await this.#ask(link, commands).catch((cause: unknown) => {
      throw this.#fail(link, { place, name: commands[0]?.[0] ?? "", cause });
    });
    const found = replies.map(([cause, reply], index) => {
      if (cause === null) return reply;
      throw this.#fail(link, { place, name: commands[index]?.[0] ?? "", cause });
    });
    if (!this.#stopped && link === this.#link) this.#watch.worked(place);
    return found;
  }

  async #ask(link: Link, commands: readonly RedisCommand[]): Promise<readonly Reply[]> {
    const late = new AbortController();
    try {
      return await this.#waiting.within(link.send(commands, late.signal), sizeOf(commands));
    } finally {
      late.abort(answered);
    }
  }

  #fail(
    link: Link,
    { place, name, cause }: { place: string | null; name: string; cause: unknown },
  ): AgentError {
    const error = cause instanceof Error ? cause : new Error(errorText(cause));
    const command = bareName(name);
    this.#miss(missingRights([[command, error]], this.#deps.prefix));
    const absent = !isReply(error) || isAbsence(error.message);
    if (absent && !this.#stopped && link === this.#link)
      this.#watch.failed(place, errorText(error));
    if (error.message.startsWith("READONLY")) link.renew();
    return refusal(command, error);
  }

  #open(target: RedisTarget): Link {
    const isCurrent = (): boolean => !this.#stopped && link === this.#link;
    const link: Link = createLink(target, {
      ready: () => this.#ready(link),
      lost: (reason) => {
        if (isCurrent()) this.#watch.lost(reason);
        else if (link === this.#next) this.#notYet(reason);
      },
      renewed: () => {
        if (isCurrent()) this.#epoch++;
      },
      met: (facts) => this.#judge(facts),
    });
    return link;
  }

  #ready(link: Link): void {
    if (this.#stopped) return link.close();
    if (link === this.#next) {
      this.#link.close();
      this.#link = link;
      this.#next = null;
      this.#epoch++;
    }
    if (link !== this.#link) return;
    this.#watch.back();
    if (!this.#tried) void this.#tryRights(link);
  }

  /** What is connected stays, with what it was told before. */
  #notYet(reason: string): void {
    if (this.#nextSaid === reason || this.#stopped) return;
    this.#nextSaid = reason;
    this.#deps.log.warn("changed redis settings do not work yet", { reason });
  }

  #judge(facts: ServerFacts): void {
    const lacks = lacksOf(facts, this.#target.form);
    for (const kind of ["version", "mode", "eviction"] as const) {
      const lack = lacks.find((one) => one.kind === kind);
      if (lack === undefined) this.#watch.has(kind);
      else this.#watch.lacks(lack);
    }
  }

  /** Finds missing rights before what needs them is due, some only hours later. */
  async #tryRights(link: Link): Promise<void> {
    const { prefix } = this.#deps;
    const commands = trial(prefix, randomUUID());
    const replies = await this.#ask(link, commands).catch(() => []);
    if (replies.length === 0) return;
    const causes = replies.map(
      ([cause], index) => [bareName(commands[index]?.[0] ?? ""), cause] as const,
    );
    const missing = missingRights(causes, prefix);
    this.#missing.clear();
    this.#tried = missing.length === 0;
    if (this.#tried) this.#watch.has("rights");
    else this.#miss(missing);
  }

  #miss(missing: readonly string[]): void {
    if (missing.every((right) => this.#missing.has(right))) return;
    for (const right of missing) this.#missing.add(right);
    this.#watch.lacks(rightsLack(this.#missing));
  }
}

/** Connects to one server, to a master that Sentinels name, or to a cluster. */
export function createConnection(target: RedisTarget, deps: ConnectionDeps): RedisConnection {
  return new Connection(target, deps);
}
