import { backoffMs } from "../base/backoff.ts";
import { loop } from "../base/every.ts";
import type { HttpClient, HttpReply } from "../base/http.ts";
import type { Parsed } from "../base/parse.ts";
import { errorText } from "../core/errors.ts";
import type { NodeIdentity } from "../core/node.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { Clock, ComponentStatus, Log, Running } from "../core/ports.ts";
import { readBody, readReply } from "./answer.ts";
import { readCached, received, soon, type AnswerCache, type CachedAnswer } from "./cache.ts";
import * as request from "./request.ts";
import { effects, TroubleLog, type AdminSyncCounters, type Outcome } from "./trouble.ts";
import { understand, type Understood } from "./understand.ts";

export interface AdminSyncDeps {
  readonly settings: request.AdminSettings;
  /** Who the agent speaks for; asked anew at every poll. */
  readonly node: () => NodeIdentity;
  readonly http: HttpClient;
  readonly clock: Clock;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
  /**
   * Checks a policy in the shape `{metrics, alerts: {…, rules, channels}}`. Must refuse settings that name files of
   * this host: a remote server has no business reading them.
   */
  readonly parseDocument: (input: unknown) => Parsed<PolicyDocument>;
  readonly cache: AnswerCache;
  /** Takes over a new policy. */
  readonly onDocument: (document: PolicyDocument, revision: string) => void;
}

export interface AdminSync {
  /** Starts with the cached answer, then polls. */
  start(): Running;
  status(): ComponentStatus;
  /** The version in force; null before the first. */
  revision(): string | null;
  /** False from an answer that was no valid configuration until one that is; an unreachable server changes nothing. */
  lastReloadSuccessful(): boolean;
  readonly counters: AdminSyncCounters;
}

/** The answer in force; its body and what it says are remembered by their hashes. */
interface Good {
  readonly etag: string | null;
  readonly revision: string;
  readonly source: string;
  readonly body: string;
  readonly policy: string;
}

/** A first retry within two seconds bridges a restart of the server; the design allows five minutes at most. */
const backoffLimits = { firstMs: 2_000, maxMs: 300_000 };

/** Polls are spread over ±10 % of the interval, so that a fleet started at once does not stay in step. */
const jitter = 0.1;

/** Keeps the policy of the admin server in force: cached at start, polled, never replaced by a broken answer. */
export function createAdminSync(deps: AdminSyncDeps): AdminSync {
  const sync = new Sync(deps);
  return {
    start: () => sync.start(),
    status: () => sync.status,
    revision: () => sync.revision,
    lastReloadSuccessful: () => sync.reloaded,
    get counters() {
      return { ...sync.counters };
    },
  };
}

class Sync {
  readonly counters = {
    polls: 0,
    applied: 0,
    unchanged: 0,
    unregistered: 0,
    refused: 0,
    failed: 0,
  };
  reloaded = true;
  readonly #deps: AdminSyncDeps;
  readonly #troubles: TroubleLog;
  #good: Good | null = null;
  #refusal: { readonly body: string; readonly reason: string } | null = null;
  #failures = 0;
  /** A good answer that the cache has not taken yet. */
  #unsaved: CachedAnswer | null = null;
  #cacheWarned = false;

  constructor(deps: AdminSyncDeps) {
    this.#deps = deps;
    const { clock, log, settings } = deps;
    this.#troubles = new TroubleLog({ clock, log, redactor: request.adminRedactor(settings) });
  }

  get status(): ComponentStatus {
    return this.#troubles.status;
  }

  get revision(): string | null {
    return this.#good?.revision ?? null;
  }

  start(): Running {
    let started = false;
    return loop(
      this.#deps.clock,
      async (signal) => {
        if (!started) await this.#startFromCache(signal);
        started = true;
        if (signal.aborted) return 0;
        const outcome = await this.#poll(signal);
        if (signal.aborted) return 0;
        const gapMs = this.#settle(outcome);
        await this.#save(signal);
        return gapMs;
      },
      (cause) => this.#settle({ kind: "failed", reason: errorText(cause) }),
    );
  }

  async #startFromCache(signal: AbortSignal): Promise<void> {
    const { cache, clock, log, parseDocument } = this.#deps;
    const ignored = (cause: string): void =>
      log.warn("admin cache ignored", { cause: this.#troubles.shown(cause) });
    try {
      const json = await soon(clock, cache.load(), signal);
      if (json === null) return;
      const answer = readCached(json);
      if (answer === null) return ignored("it is not a cached answer");
      const understood = understand(readBody(answer.answer), parseDocument);
      if (understood.kind !== "good") return ignored("it is no valid configuration any more");
      this.#take(understood, answer);
      this.#unsaved = null;
      log.info("admin policy from cache", { revision: answer.revision });
    } catch (cause) {
      ignored(errorText(cause));
    }
  }

  async #poll(signal: AbortSignal): Promise<Outcome> {
    const { settings, clock } = this.#deps;
    const node = this.#deps.node();
    const url = request.endpointUrl(settings.baseUrl, settings.configEndpoint);
    const source = request.shortHash(JSON.stringify([url, node.cluster, node.name, node.ip]));
    const etag = this.#good?.source === source ? this.#good.etag : null;
    const headers = {
      ...request.adminHeaders(node, settings.token),
      ...(etag === null ? {} : { "If-None-Match": etag }),
    };
    const asked = await this.#ask(url, headers, signal);
    if (!asked.ok)
      return { kind: asked.answered ? "unreadable" : "unreachable", reason: asked.reason };
    const { reply } = asked;
    const answer = received(reply, source, clock.now());
    const known = this.#known(reply, answer);
    if (known !== undefined) return known;
    const reading = readReply(reply, {
      nowMs: clock.now(),
      ip: node.ip,
      withToken: settings.token !== null,
      withEtag: etag !== null,
    });
    const understood = understand(reading, this.#deps.parseDocument);
    if (understood.kind === "refused")
      this.#refusal = { body: request.shortHash(reply.body), reason: understood.reason };
    if (understood.kind !== "good") return understood;
    return { kind: this.#take(understood, answer) ? "applied" : "unchanged" };
  }

  /** A kept connection may close just as it is used again: that, and only that, is tried once more at once. */
  async #ask(
    url: string,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<request.Asked> {
    const asked = await request.ask(this.#deps, { method: "GET", url, headers }, signal);
    const stale = !asked.ok && (asked.code === "ECONNRESET" || asked.code === "EPIPE");
    return stale ? request.ask(this.#deps, { method: "GET", url, headers }, signal) : asked;
  }

  /** What became of the same bytes before; undefined when they are new. */
  #known({ status, body }: HttpReply, answer: CachedAnswer): Outcome | undefined {
    if (status !== 200) return undefined;
    const hash = request.shortHash(body);
    if (hash === this.#refusal?.body) return { kind: "refused", reason: this.#refusal.reason };
    if (this.#good === null || hash !== this.#good.body) return undefined;
    this.#remember(this.#good, answer);
    return { kind: "unchanged" };
  }

  /** Puts a policy in force unless it says the same as the one that is; returns whether it did. */
  #take(understood: Extract<Understood, { kind: "good" }>, answer: CachedAnswer): boolean {
    const { document, policy } = understood;
    const same = this.#good?.policy === policy;
    const revision = same ? (this.#good?.revision ?? answer.revision) : answer.revision;
    if (!same) this.#deps.onDocument(document, revision);
    this.#remember({ revision, policy }, answer, !same);
    return !same;
  }

  #remember(
    { revision, policy }: Pick<Good, "revision" | "policy">,
    answer: CachedAnswer,
    isNew = false,
  ): void {
    const { etag, source } = answer;
    const renamed = this.#good?.etag !== etag || this.#good.source !== source;
    if (isNew || renamed) this.#unsaved = { ...answer, revision };
    this.#good = { etag, source, revision, policy, body: request.shortHash(answer.answer) };
  }

  #settle(outcome: Outcome): number {
    const { settings, random } = this.#deps;
    const usualMs = Math.round(settings.syncIntervalMs * (1 + jitter * (2 * random() - 1)));
    this.counters.polls += 1;
    if (!("reason" in outcome)) {
      this.counters[outcome.kind] += 1;
      this.#refusal = null;
      this.#failures = 0;
      this.reloaded = true;
      this.#troubles.recovered(this.revision);
      return usualMs;
    }
    const effect = effects[outcome.kind];
    this.counters[effect.counter] += 1;
    this.#troubles.report(outcome);
    if (effect.failedReload) this.reloaded = false;
    this.#failures = effect.backsOff ? this.#failures + 1 : 0;
    if (!effect.backsOff) return usualMs;
    const asked = outcome.kind === "failed" ? (outcome.retryAfterMs ?? 0) : 0;
    return Math.max(asked, backoffMs(this.#failures, backoffLimits, random));
  }

  async #save(signal: AbortSignal): Promise<void> {
    const { cache, clock, log } = this.#deps;
    if (this.#unsaved === null) return;
    try {
      await soon(clock, cache.save(JSON.stringify(this.#unsaved)), signal);
      this.#unsaved = null;
      this.#cacheWarned = false;
    } catch (cause) {
      if (!this.#cacheWarned && !signal.aborted)
        log.warn("admin cache not saved", { cause: this.#troubles.shown(errorText(cause)) });
      this.#cacheWarned = true;
    }
  }
}
