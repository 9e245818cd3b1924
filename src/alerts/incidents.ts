import * as v from "valibot";
import type { AlertSubject, Incident, MessageKind, Transition } from "../core/alert.ts";
import { errorText } from "../core/errors.ts";
import type { MessageTopic, Mute } from "../core/mute.ts";
import type { Clock, Log, StatePort } from "../core/ports.ts";
import { Unsaved } from "../base/saved.ts";
import { decide, settleFlapping, type DecideSettings, type Decision } from "./decide.ts";
import { holdBack } from "./hold.ts";
import type { Mutes } from "./mutes.ts";
import { flapWindowMs, parseRecord, withIncident, type AlertRecord } from "./record.ts";

/** Something to tell about an incident: to people, to the admin server's records, or to both. */
export interface Telling {
  /** Unique; the message and the record carry it. */
  readonly id: string;
  readonly incident: Incident;
  readonly atMs: number;
  /** What people are told; null: nothing. */
  readonly message: MessageKind | null;
  /** What the records are told; null: nothing new. */
  readonly record: "firing" | "escalated" | "resolved" | null;
  readonly suppressed: Decision["suppressed"];
  /** What holds the message back; null: nothing. */
  readonly mute: Mute | null;
}

export interface IncidentDeps {
  readonly clock: Clock;
  readonly port: StatePort;
  readonly log: Log;
  readonly settings: () => DecideSettings;
  readonly newId: () => string;
  /** What holds messages back; without it, nothing does. */
  readonly mutes?: Mutes;
  /** Called after the new state was saved (or saving failed and was logged). */
  readonly tell: (telling: Telling) => Promise<void>;
}

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
  #ended: Incident[] = [];

  constructor(deps: IncidentDeps) {
    this.#deps = deps;
    this.#unsaved = new Unsaved(deps.port);
  }

  /** Takes up the incidents of an earlier run; what is unreadable is dropped with a warning. */
  async restore(): Promise<void> {
    for (const [key, text] of await this.#deps.port.load()) {
      try {
        this.#records.set(key, parseRecord(text));
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
    const tellings = ordered.flatMap((transition) => {
      const telling = this.#take(transition, false);
      return telling === null ? [] : [telling];
    });
    await this.#conclude(tellings);
  }

  /** An alert of somebody else's: it is told, falls into the cooldown of an earlier one, or is held back. */
  async accept(
    transition: Transition,
    reportedAtMs: number,
  ): Promise<{ incident: Incident; suppressed: string | null; mute: Mute | null }> {
    await this.#learn([this.#decide(transition, true)]);
    const telling = this.#take(transition, true);
    if (telling === null) throw new TypeError("a firing always concerns an incident");
    this.#dropForeign();
    await this.#conclude([{ ...telling, atMs: reportedAtMs }]);
    return {
      incident: telling.incident,
      suppressed: telling.message === null ? telling.suppressed : null,
      mute: telling.mute,
    };
  }

  /** What time alone does: flapping ends, foreign alerts that nobody repeats are over, old ones are forgotten. */
  async tick(nowMs: number): Promise<void> {
    const calmed = (record: AlertRecord): Decision | null =>
      settleFlapping(record, nowMs, this.#settingsFor(record.incident.subject));
    await this.#learn([...this.#records.values()].map(calmed));
    const tellings: Telling[] = [];
    for (const [key, record] of this.#records) {
      const calm = calmed(record);
      if (calm !== null) tellings.push(this.#keep(key, this.#held(record, calm), nowMs, null));
      this.#age(key, this.#records.get(key) ?? record, nowMs);
    }
    await this.#conclude(tellings);
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

  #take(transition: Transition, foreign: boolean): Telling | null {
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
    return this.#keep(key, decision, transition.atMs, record);
  }

  #keep(key: string, decision: Decision, atMs: number, record: Telling["record"]): Telling {
    const eventful = decision.message !== null || record !== null;
    this.#set(key, decision.record, eventful ? 0 : saveEveryMs);
    const { incident } = decision.record;
    return {
      id: this.#deps.newId(),
      incident,
      atMs,
      message: decision.message,
      record,
      suppressed: decision.suppressed,
      mute: decision.mute,
    };
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

  async #conclude(tellings: readonly Telling[]): Promise<void> {
    await this.#save();
    for (const telling of tellings)
      if (telling.message !== null || telling.record !== null) await this.#deps.tell(telling);
  }

  async #save(): Promise<void> {
    try {
      await this.#unsaved.save();
    } catch (cause) {
      this.#deps.log.debug("incidents not saved yet", { cause: errorText(cause) });
    }
  }
}
