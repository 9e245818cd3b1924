import type { AlertSubject, Incident, Transition } from "../core/alert.ts";
import type { MessageTopic, Mute } from "../core/mute.ts";
import { decide, settleFlapping, type DecideSettings, type Decision } from "./decide.ts";
import { Handover } from "./handover.ts";
import { holdBack } from "./hold.ts";
import { Records } from "./records.ts";
import type { Concluded, IncidentDeps, Report } from "./telling.ts";
import {
  flapWindowMs,
  isDecisive,
  isNews,
  type News,
  withIncident,
  type AlertRecord,
} from "./record.ts";

/** Times that are not those of the transition itself. */
interface Times {
  /** When the news are from. */
  readonly toldAtMs?: number;
  /** When it is over unless it is reported again. */
  readonly untilMs?: number;
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
  readonly #records: Records;
  readonly #handover: Handover;
  #ended: Incident[] = [];
  /** Of an earlier run and not reported since: until `#hearingUntilMs` they are not over only because their time is. */
  readonly #unheard = new Set<string>();
  #hearingUntilMs = 0;

  constructor(deps: IncidentDeps) {
    this.#deps = deps;
    this.#records = new Records(deps);
    this.#handover = new Handover(deps, this.#records);
  }

  /** Takes up the incidents of an earlier run; what is unreadable is dropped with a warning. */
  async restore(): Promise<void> {
    this.#hearingUntilMs = this.#deps.clock.now() + hearingMs;
    for (const [key, { untold }] of await this.#records.restore()) {
      this.#handover.owe(untold);
      this.#unheard.add(key);
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
    await this.#handover.tell(concluded.map(({ news }) => news));
  }

  /**
   * Tells what was decided and not handed over, by an earlier run too. To be called when the channels are known: with
   * none there is nobody to tell.
   */
  tellOwed(): Promise<void> {
    return this.#handover.tellOwed();
  }

  /** An alert of somebody else's: it is told, falls into the cooldown of an earlier one, or is held back. */
  async accept(
    transition: Transition,
    reportedAtMs: number,
  ): Promise<{ incident: Incident; suppressed: string | null; mute: Mute | null }> {
    await this.#learn([this.#decide(transition, true)]);
    const concluded = this.#take(transition, true, { toldAtMs: reportedAtMs });
    if (concluded === null) throw new TypeError("a firing always concerns an incident");
    this.#dropForeign();
    await this.#handover.tell([concluded.news]);
    const { news, suppressed, mute } = concluded;
    return { incident: news.incident, suppressed: news.message === null ? suppressed : null, mute };
  }

  /** Alerts that others go on reporting while they fire, and once they are over: the way of our own. */
  async report(reports: readonly Report[]): Promise<void> {
    for (const { transition } of reports) this.#unheard.delete(transition.subject.key);
    const decisions = reports.map(({ transition }) =>
      this.#decide(this.#goingOn(transition), true),
    );
    await this.#learn(decisions);
    const concluded = this.#takeAll(reports);
    this.#dropForeign();
    await this.#handover.tell(concluded.map(({ news }) => news));
  }

  /** What time alone does: flapping ends, foreign alerts that nobody repeats are over, old ones are forgotten. */
  async tick(nowMs: number): Promise<void> {
    const overdue = this.#overdue(nowMs);
    const calmed = (record: AlertRecord): Decision | null =>
      settleFlapping(record, nowMs, this.#settingsFor(record.incident.subject));
    await this.#learn([
      ...overdue.map((transition) => this.#decide(transition, true)),
      ...this.#records.all().map(([, record]) => calmed(record)),
    ]);
    const concluded = this.#takeAll(overdue.map((transition) => ({ transition })));
    for (const [key, record] of this.#records.all()) {
      const calm = calmed(record);
      if (calm !== null)
        concluded.push(this.#keep(key, this.#held(record, calm), { atMs: nowMs, record: null }));
      this.#age(key, this.#records.get(key) ?? record, nowMs);
    }
    await this.#handover.tell(concluded.map(({ news }) => news));
  }

  /** Marks the incidents whose samples are missing, by alert key. */
  markNoData(keys: ReadonlySet<string>): void {
    for (const [key, record] of this.#records.all())
      if (isOpen(record) && record.incident.noData !== keys.has(key))
        this.#records.set(key, withIncident(record, { noData: keys.has(key) }));
  }

  /** Ends incidents that no rule stands behind any more. `live` are the keys of alerts that fire. */
  async endOrphans(live: Pick<ReadonlySet<string>, "has">, nowMs: number): Promise<void> {
    const orphans = this.#records
      .all()
      .filter(([key, record]) => isOpen(record) && !record.foreign && !live.has(key));
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
    const found = this.#records
      .all()
      .find(([, record]) => record.incident.id === id && isOpen(record));
    if (found === undefined) return null;
    const record = withIncident(found[1], { acknowledgedBy: by });
    this.#records.set(found[0], record);
    await this.#records.save();
    return record.incident;
  }

  /** Learns who takes care of what, by what was said to other agents. Never rejects. */
  async learnAcknowledgements(): Promise<void> {
    await this.#deps.acknowledgements?.teach(this.#records);
  }

  /** Why people are told nothing of an open incident now, by what is known; null: they are, or it is over. */
  muteOf(incident: Incident): Mute | null {
    if (incident.status !== "firing") return null;
    return this.#deps.mutes?.of(incident, this.#open()) ?? null;
  }

  /** Open ones first, then the newest. */
  list(): readonly Incident[] {
    const all = [...this.#records.all().map(([, { incident }]) => incident), ...this.#ended];
    const order = (incident: Incident): number => (incident.status === "firing" ? 0 : 1);
    return all.sort((a, b) => order(a) - order(b) || b.startedAtMs - a.startedAtMs);
  }

  /** Ends the alerts that their senders should have reported again by now and did not. */
  #overdue(nowMs: number): readonly Transition[] {
    if (nowMs >= this.#hearingUntilMs) this.#unheard.clear();
    return this.#records.all().flatMap(([key, { incident, untilMs }]): Transition[] => {
      if (untilMs === undefined || nowMs < untilMs) return [];
      if (incident.status !== "firing" || this.#unheard.has(key)) return [];
      const over = { kind: "resolved", atMs: nowMs, claimedAtMs: untilMs, reason: null } as const;
      return [{ ...incident, ...over }];
    });
  }

  /** What fires and is known to fire goes on firing. */
  #goingOn(transition: Transition): Transition {
    const known = this.#records.get(transition.subject.key);
    const isKnown = transition.kind === "fired" && known !== undefined && isOpen(known);
    return isKnown ? { ...transition, kind: "still" } : transition;
  }

  #takeAll(reports: readonly (Omit<Report, "untilMs"> & Times)[]): Concluded[] {
    return reports.flatMap(({ transition, untilMs }) => {
      const times = untilMs === undefined ? {} : { untilMs };
      const one = this.#take(this.#goingOn(transition), true, times);
      return one === null ? [] : [one];
    });
  }

  /** Others may name any index and node: of too many the oldest are forgotten, those that are over first. */
  #dropForeign(): void {
    const foreign = this.#records.all().filter(([, record]) => record.foreign);
    if (foreign.length <= keepForeign) return;
    const oldest = foreign
      .toSorted(
        ([, a], [, b]) =>
          Number(isOpen(a)) - Number(isOpen(b)) || a.incident.updatedAtMs - b.incident.updatedAtMs,
      )
      .slice(0, -keepForeign);
    for (const [key] of oldest) this.#records.forget(key);
  }

  #settingsFor(subject: AlertSubject): DecideSettings {
    const settings = this.#deps.settings();
    return { ...settings, cooldownMs: subject.cooldownMs ?? settings.cooldownMs };
  }

  #open(): readonly Incident[] {
    return this.#records.all().flatMap(([, record]) => (isOpen(record) ? [record.incident] : []));
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
    if (topics.length === 0) return;
    await this.#deps.mutes?.learn(topics, this.#open());
    // Of what begins now, nobody can have said anything.
    const isKnown = (one: Decision | null): boolean =>
      one !== null && one.message !== null && one.record.incident.id !== "";
    if (decisions.some(isKnown)) await this.learnAcknowledgements();
  }

  #held(before: AlertRecord | undefined, decision: Decision): Decision {
    if (decision.message === null) return decision;
    const mute = this.#deps.mutes?.of(decision.record.incident, this.#open()) ?? null;
    return mute === null ? decision : holdBack(before, decision, mute);
  }

  #take(transition: Transition, foreign: boolean, times: Times = {}): Concluded | null {
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
    const { untilMs, toldAtMs = transition.atMs } = times;
    const timed =
      untilMs === undefined ? decision : { ...decision, record: { ...decision.record, untilMs } };
    return this.#keep(key, timed, { atMs: toldAtMs, record });
  }

  /** Remembers a decision, and with it what is to be told: one is not saved without the other. */
  #keep(
    key: string,
    { record, message, suppressed, mute }: Decision,
    about: Pick<News, "atMs" | "record">,
  ): Concluded {
    const news: News = { id: this.#deps.newId(), incident: record.incident, message, ...about };
    if (isNews(news)) this.#records.set(key, { ...record, untold: [...record.untold, news] });
    else
      this.#records.set(key, record, isDecisive(this.#records.get(key), record) ? 0 : saveEveryMs);
    return { news, suppressed, mute };
  }

  #age(key: string, record: AlertRecord, nowMs: number): void {
    const { incident } = record;
    const idleMs = nowMs - incident.updatedAtMs;
    const { cooldownMs } = this.#settingsFor(incident.subject);
    const isUntimed = record.foreign && record.untilMs === undefined;
    if (isUntimed && isOpen(record) && idleMs >= Math.max(cooldownMs, flapWindowMs))
      this.#records.set(
        key,
        withIncident(record, { status: "resolved", endedAtMs: incident.updatedAtMs }),
        0,
      );
    else if (!isOpen(record) && idleMs >= Math.max(keepEndedMs, cooldownMs)) {
      this.#records.forget(key);
    }
  }

  #retire(incident: Incident): void {
    const ended =
      incident.status === "resolved"
        ? incident
        : { ...incident, status: "resolved" as const, endedAtMs: incident.updatedAtMs };
    this.#ended = [ended, ...this.#ended].slice(0, keepEnded);
  }
}
