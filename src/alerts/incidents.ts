import * as v from "valibot";
import type { AlertSubject, Incident, Transition } from "../core/alert.ts";
import { errorText } from "../core/errors.ts";
import type { MessageTopic, Mute } from "../core/mute.ts";
import { Unsaved } from "../base/saved.ts";
import { decide, settleFlapping, type DecideSettings, type Decision } from "./decide.ts";
import { holdBack } from "./hold.ts";
import type { Concluded, IncidentDeps } from "./telling.ts";
import {
  flapWindowMs,
  isNews,
  type News,
  parseRecord,
  withIncident,
  type AlertRecord,
} from "./record.ts";

/** Values and peaks are saved at most this often while nothing else changes. */
const saveEveryMs = 60_000;
/** Ended incidents are listed this long, and this many. */
const keepEndedMs = 24 * 3_600_000;
const keepEnded = 500;
/** Alerts of others that are remembered. */
const keepForeign = 1_000;

const recordOf = { fired: "firing", escalated: "escalated", resolved: "resolved" } as const;

function isOpen(record: AlertRecord): boolean {
  return record.incident.status === "firing";
}

/** Every incident of this node: what is going on, what was told of it, and what ended of late. */
export class Incidents {
  readonly #deps: IncidentDeps;
  readonly #unsaved: Unsaved;
  readonly #records = new Map<string, AlertRecord>();
  readonly #savedAtMs = new Map<string, number>();
  /** What could not be handed over, or not by an earlier run as far as is known; oldest first. */
  #owed: News[] = [];
  #ended: Incident[] = [];

  constructor(deps: IncidentDeps) {
    this.#deps = deps;
    this.#unsaved = new Unsaved(deps.port);
  }

  /** Takes up the incidents of an earlier run; what is unreadable is dropped with a warning. */
  async restore(): Promise<void> {
    for (const [key, text] of await this.#deps.port.load()) {
      try {
        const record = parseRecord(text);
        this.#records.set(key, record);
        const known = new Set(this.#owed.map(({ id }) => id));
        this.#owed.push(...record.untold.filter(({ id }) => !known.has(id)));
      } catch (cause) {
        const why = cause instanceof v.ValiError ? cause.message : errorText(cause);
        this.#deps.log.warn("incident unreadable", { alert: key, cause: why });
        this.#unsaved.set(key, null);
      }
    }
  }

  /** Decides about each transition, saves, then tells. */
  async handle(transitions: readonly Transition[]): Promise<void> {
    const ordered = this.#deps.mutes?.inOrder(transitions) ?? transitions;
    await this.#learn(ordered.map((transition) => this.#decide(transition, false)));
    const concluded = ordered.flatMap((transition) => {
      const one = this.#take(transition, false);
      return one === null ? [] : [one];
    });
    await this.#conclude(concluded);
  }

  /**
   * Tells what was decided and not handed over, by an earlier run too. To be called when the channels are known: with
   * none there is nobody to tell.
   */
  async tellOwed(): Promise<void> {
    const owed = this.#owed;
    if (owed.length === 0) return;
    this.#owed = [];
    for (const news of owed) await this.#tell(news, true);
    await this.#save();
  }

  /** An alert of somebody else's: it is told, falls into the cooldown of an earlier one, or is held back. */
  async accept(
    transition: Transition,
    reportedAtMs: number,
  ): Promise<{ incident: Incident; suppressed: string | null; mute: Mute | null }> {
    await this.#learn([this.#decide(transition, true)]);
    const concluded = this.#take(transition, true, reportedAtMs);
    if (concluded === null) throw new TypeError("a firing always concerns an incident");
    this.#dropForeign();
    await this.#conclude([concluded]);
    const { news, suppressed, mute } = concluded;
    return { incident: news.incident, suppressed: news.message === null ? suppressed : null, mute };
  }

  /** What time alone does: flapping ends, foreign alerts that nobody repeats are over, old ones are forgotten. */
  async tick(nowMs: number): Promise<void> {
    const calmed = (record: AlertRecord): Decision | null =>
      settleFlapping(record, nowMs, this.#settingsFor(record.incident.subject));
    await this.#learn([...this.#records.values()].map(calmed));
    const concluded: Concluded[] = [];
    for (const [key, record] of this.#records) {
      const calm = calmed(record);
      if (calm !== null)
        concluded.push(this.#keep(key, this.#held(record, calm), { atMs: nowMs, record: null }));
      this.#age(key, this.#records.get(key) ?? record, nowMs);
    }
    await this.#conclude(concluded);
  }

  /** Marks the incidents whose samples are missing, by alert key. */
  markNoData(keys: ReadonlySet<string>): void {
    for (const [key, record] of this.#records)
      if (isOpen(record) && record.incident.noData !== keys.has(key))
        this.#set(key, withIncident(record, { noData: keys.has(key) }), 0);
  }

  /** Ends incidents that no rule stands behind any more. `live` are the keys of alerts that fire. */
  async endOrphans(live: Pick<ReadonlySet<string>, "has">, nowMs: number): Promise<void> {
    const orphans = [...this.#records].filter(
      ([key, record]) => isOpen(record) && !record.foreign && !live.has(key),
    );
    await this.handle(
      orphans.map(([, { incident }]) => ({
        ...incident,
        kind: "resolved" as const,
        atMs: nowMs,
        reason: "rule_removed" as const,
      })),
    );
  }

  /** Somebody takes care of it: nothing more is sent until it escalates. Null: no such open incident. */
  async acknowledge(id: string, by: string): Promise<Incident | null> {
    const found = [...this.#records].find(
      ([, record]) => record.incident.id === id && isOpen(record),
    );
    if (found === undefined) return null;
    const record = withIncident(found[1], { acknowledgedBy: by });
    this.#set(found[0], record, 0);
    await this.#save();
    return record.incident;
  }

  /** Why people are told nothing of an open incident now, by what is known; null: they are, or it is over. */
  muteOf(incident: Incident): Mute | null {
    if (incident.status !== "firing") return null;
    return this.#deps.mutes?.of(incident, this.#open()) ?? null;
  }

  /** Open ones first, then the newest. */
  list(): readonly Incident[] {
    const all = [...[...this.#records.values()].map(({ incident }) => incident), ...this.#ended];
    const order = (incident: Incident): number => (incident.status === "firing" ? 0 : 1);
    return all.sort((a, b) => order(a) - order(b) || b.startedAtMs - a.startedAtMs);
  }

  /** Others may name any index and node: the oldest of too many are forgotten. */
  #dropForeign(): void {
    const foreign = [...this.#records].filter(([, record]) => record.foreign);
    if (foreign.length <= keepForeign) return;
    const age = ([, { incident }]: (typeof foreign)[number]): number => incident.updatedAtMs;
    const oldest = foreign.toSorted((a, b) => age(a) - age(b)).slice(0, -keepForeign);
    for (const [key] of oldest) this.#forget(key);
  }

  #forget(key: string): void {
    this.#records.delete(key);
    this.#savedAtMs.delete(key);
    this.#unsaved.set(key, null);
  }

  #settingsFor(subject: AlertSubject): DecideSettings {
    const settings = this.#deps.settings();
    return { ...settings, cooldownMs: subject.cooldownMs ?? settings.cooldownMs };
  }

  #open(): readonly Incident[] {
    return [...this.#records.values()].filter(isOpen).map(({ incident }) => incident);
  }

  /** What follows from a transition if nothing holds its message back. */
  #decide(transition: Transition, foreign: boolean, id = ""): Decision | null {
    const { subject } = transition;
    const settings = this.#settingsFor(subject);
    return decide(this.#records.get(subject.key), transition, { settings, id, foreign });
  }

  /** Has what holds messages back known before people are told. */
  async #learn(decisions: readonly (Decision | null)[]): Promise<void> {
    const topics = decisions.flatMap((decision): MessageTopic[] =>
      decision === null || decision.message === null ? [] : [decision.record.incident],
    );
    if (topics.length > 0) await this.#deps.mutes?.learn(topics, this.#open());
  }

  #held(before: AlertRecord | undefined, decision: Decision): Decision {
    if (decision.message === null) return decision;
    const mute = this.#deps.mutes?.of(decision.record.incident, this.#open()) ?? null;
    return mute === null ? decision : holdBack(before, decision, mute);
  }

  /** `toldAtMs`: when the news are from, where not of the transition itself. */
  #take(transition: Transition, foreign: boolean, toldAtMs = transition.atMs): Concluded | null {
    const { key } = transition.subject;
    const before = this.#records.get(key);
    const decided = this.#decide(transition, foreign, this.#deps.newId());
    if (decided === null) return null;
    const decision = this.#held(before, decided);
    if (before !== undefined && before.incident.id !== decision.record.incident.id)
      this.#retire(before.incident);
    const { kind } = transition;
    const record =
      kind === "fired" || kind === "escalated" || kind === "resolved" ? recordOf[kind] : null;
    return this.#keep(key, decision, { atMs: toldAtMs, record });
  }

  /** Remembers a decision, and with it what is to be told: one is not saved without the other. */
  #keep(
    key: string,
    { record, message, suppressed, mute }: Decision,
    about: Pick<News, "atMs" | "record">,
  ): Concluded {
    const news: News = { id: this.#deps.newId(), incident: record.incident, message, ...about };
    if (isNews(news)) this.#set(key, { ...record, untold: [...record.untold, news] }, 0);
    else this.#set(key, record, saveEveryMs);
    return { news, suppressed, mute };
  }

  /** Remembers a record, and has it saved unless it was saved less than `leastMs` ago. */
  #set(key: string, record: AlertRecord, leastMs: number): void {
    this.#records.set(key, record);
    const nowMs = this.#deps.clock.now();
    if (nowMs - (this.#savedAtMs.get(key) ?? 0) < leastMs) return;
    this.#savedAtMs.set(key, nowMs);
    this.#unsaved.set(key, JSON.stringify(record));
  }

  #age(key: string, record: AlertRecord, nowMs: number): void {
    const { incident } = record;
    const idleMs = nowMs - incident.updatedAtMs;
    const { cooldownMs } = this.#settingsFor(incident.subject);
    if (record.foreign && isOpen(record) && idleMs >= Math.max(cooldownMs, flapWindowMs))
      this.#set(
        key,
        withIncident(record, { status: "resolved", endedAtMs: incident.updatedAtMs }),
        0,
      );
    else if (!isOpen(record) && idleMs >= Math.max(keepEndedMs, cooldownMs)) {
      this.#forget(key);
    }
  }

  #retire(incident: Incident): void {
    const ended =
      incident.status === "resolved"
        ? incident
        : { ...incident, status: "resolved" as const, endedAtMs: incident.updatedAtMs };
    this.#ended = [ended, ...this.#ended].slice(0, keepEnded);
  }

  async #conclude(concluded: readonly Concluded[]): Promise<void> {
    await this.#save();
    const all = concluded.map(({ news }) => news).filter(isNews);
    for (const news of all) await this.#tell(news, false);
    if (all.length > 0) await this.#save();
  }

  /** Hands news over, and forgets them then. Never rejects. */
  async #tell(news: News, again: boolean): Promise<void> {
    const { key } = news.incident.subject;
    try {
      await this.#deps.tell({ ...news, again });
    } catch (cause) {
      this.#owed.push(news);
      this.#deps.log.error("news not handed over yet", { alert: key, cause: errorText(cause) });
      return;
    }
    const record = this.#records.get(key);
    if (record === undefined) return;
    this.#set(key, { ...record, untold: record.untold.filter(({ id }) => id !== news.id) }, 0);
  }

  async #save(): Promise<void> {
    try {
      await this.#unsaved.save();
    } catch (cause) {
      this.#deps.log.debug("incidents not saved yet", { cause: errorText(cause) });
    }
  }
}
