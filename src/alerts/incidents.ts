import * as v from "valibot";
import type { AlertSubject, Incident, MessageKind, Transition } from "../core/alert.ts";
import { errorText } from "../core/errors.ts";
import type { Clock, Log, StatePort } from "../core/ports.ts";
import { Unsaved } from "../base/saved.ts";
import { decide, settleFlapping, type DecideSettings, type Decision } from "./decide.ts";
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
}

/** An alert as somebody else reports it, again and again while it fires. */
export interface Report {
  /** `fired` or `resolved`; whether it fires anew or goes on follows from what is known of it. */
  readonly transition: Transition;
  /** When it is over unless it is reported again, Unix milliseconds. */
  readonly untilMs: number;
}

export interface IncidentDeps {
  readonly clock: Clock;
  readonly port: StatePort;
  readonly log: Log;
  readonly settings: () => DecideSettings;
  readonly newId: () => string;
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
/** Nobody could report anything while we were away: Prometheus, which reports each minute, gets this long to do so. */
const hearingMs = 5 * 60_000;

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
  /** Of an earlier run and not reported since: until `#hearingUntilMs` they are not over only because their time is. */
  readonly #unheard = new Set<string>();
  #hearingUntilMs = 0;

  constructor(deps: IncidentDeps) {
    this.#deps = deps;
    this.#unsaved = new Unsaved(deps.port);
  }

  /** Takes up the incidents of an earlier run; what is unreadable is dropped with a warning. */
  async restore(): Promise<void> {
    this.#hearingUntilMs = this.#deps.clock.now() + hearingMs;
    for (const [key, text] of await this.#deps.port.load()) {
      try {
        this.#records.set(key, parseRecord(text));
        this.#unheard.add(key);
      } catch (cause) {
        const why = cause instanceof v.ValiError ? cause.message : errorText(cause);
        this.#deps.log.warn("incident unreadable", { alert: key, cause: why });
        this.#unsaved.set(key, null);
      }
    }
  }

  /** Decides about each transition, saves, then tells. */
  async handle(transitions: readonly Transition[]): Promise<void> {
    const tellings = transitions.flatMap((transition) => {
      const telling = this.#take(transition, false);
      return telling === null ? [] : [telling];
    });
    await this.#conclude(tellings);
  }

  /** An alert of somebody else's: it is told, or falls into the cooldown of an earlier one. */
  async accept(
    transition: Transition,
    reportedAtMs: number,
  ): Promise<{ incident: Incident; suppressed: string | null }> {
    const telling = this.#take(transition, true);
    if (telling === null) throw new TypeError("a firing always concerns an incident");
    this.#dropForeign();
    await this.#conclude([{ ...telling, atMs: reportedAtMs }]);
    return {
      incident: telling.incident,
      suppressed: telling.message === null ? telling.suppressed : null,
    };
  }

  /** Alerts that others go on reporting while they fire, and once they are over: the way of our own. */
  async report(reports: readonly Report[]): Promise<void> {
    const tellings = reports.flatMap(({ transition, untilMs }) => {
      const { key } = transition.subject;
      this.#unheard.delete(key);
      const known = this.#records.get(key);
      const goesOn = transition.kind === "fired" && known !== undefined && isOpen(known);
      const kind = goesOn ? "still" : transition.kind;
      const telling = this.#take({ ...transition, kind }, true, untilMs);
      return telling === null ? [] : [telling];
    });
    this.#dropForeign();
    await this.#conclude(tellings);
  }

  /** What time alone does: flapping ends, foreign alerts that nobody repeats are over, old ones are forgotten. */
  async tick(nowMs: number): Promise<void> {
    const tellings = this.#expire(nowMs);
    for (const [key, record] of this.#records) {
      const calm = settleFlapping(record, nowMs, this.#settingsFor(record.incident.subject));
      if (calm !== null) tellings.push(this.#keep(key, calm, nowMs, null));
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

  /** Open ones first, then the newest. */
  list(): readonly Incident[] {
    const all = [...[...this.#records.values()].map(({ incident }) => incident), ...this.#ended];
    const order = (incident: Incident): number => (incident.status === "firing" ? 0 : 1);
    return all.sort((a, b) => order(a) - order(b) || b.startedAtMs - a.startedAtMs);
  }

  /** Ends the alerts that their senders should have reported again by now and did not. */
  #expire(nowMs: number): Telling[] {
    if (nowMs >= this.#hearingUntilMs) this.#unheard.clear();
    return [...this.#records].flatMap(([key, { incident, untilMs }]) => {
      if (untilMs === undefined || nowMs < untilMs) return [];
      if (incident.status !== "firing" || this.#unheard.has(key)) return [];
      const over = { kind: "resolved", atMs: nowMs, claimedAtMs: untilMs, reason: null } as const;
      const telling = this.#take({ ...incident, ...over }, true);
      return telling === null ? [] : [telling];
    });
  }

  /** Others may name any index and node: of too many the oldest are forgotten, those that are over first. */
  #dropForeign(): void {
    const foreign = [...this.#records].filter(([, record]) => record.foreign);
    if (foreign.length <= keepForeign) return;
    const oldest = foreign
      .toSorted(
        ([, a], [, b]) =>
          Number(isOpen(a)) - Number(isOpen(b)) || a.incident.updatedAtMs - b.incident.updatedAtMs,
      )
      .slice(0, -keepForeign);
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

  #take(transition: Transition, foreign: boolean, untilMs?: number): Telling | null {
    const { key } = transition.subject;
    const before = this.#records.get(key);
    const settings = this.#settingsFor(transition.subject);
    const decision = decide(before, transition, { settings, id: this.#deps.newId(), foreign });
    if (decision === null) return null;
    if (before !== undefined && before.incident.id !== decision.record.incident.id)
      this.#retire(before.incident);
    const { kind } = transition;
    const record =
      kind === "fired" || kind === "escalated" || kind === "resolved" ? recordOf[kind] : null;
    const timed =
      untilMs === undefined ? decision : { ...decision, record: { ...decision.record, untilMs } };
    return this.#keep(key, timed, transition.atMs, record);
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
    const isUntimed = record.foreign && record.untilMs === undefined;
    if (isUntimed && isOpen(record) && idleMs >= Math.max(cooldownMs, flapWindowMs))
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
