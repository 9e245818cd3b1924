import type { Repeat } from "../../src/core/policy.ts";
import { breaches, levels, rank, type Level, type Rule } from "../../src/core/rule.ts";

const minute = 60_000;
const never = Number.NEGATIVE_INFINITY;

/** What people were told, and when. */
export interface Told {
  readonly kind: string;
  readonly level: Level;
  readonly atMs: number;
}

export interface ReferenceSettings {
  readonly cooldownMs: number;
  readonly repeat: Repeat;
}

interface Sample {
  readonly value: number;
  /** What it speaks for: the time since the one before, but never more than two intervals. */
  readonly spanMs: number;
}

interface Incident {
  readonly startMs: number;
  level: Level;
  firing: boolean;
  /** When people were last told of each level; of incidents before too, for their cooldown goes on. */
  toldMs: Map<Level, number>;
  /** Messages since its level was first told. */
  tellings: number;
  /** People believe that it fires. */
  believed: boolean;
  /** A level that people would have been told of, had nothing held the message back. */
  owed: Level | null;
  /** When it fired and recovered. */
  changesMs: number[];
  flapping: boolean;
  acknowledged: boolean;
}

/**
 * How an alert lives, written down as plainly as the sentences about it: one rule, one series, no storage, no restarts.
 * Every question about the past is answered from all samples there were.
 */
export class Reference {
  readonly told: Told[] = [];
  readonly #rule: Rule;
  readonly #settings: ReferenceSettings;
  readonly #intervalMs: number;
  readonly #samples: Sample[] = [];
  #lastRowMs: number | null = null;
  #level: Level | null = null;
  #incident: Incident | null = null;

  constructor(rule: Rule, settings: ReferenceSettings, intervalMs: number) {
    this.#rule = rule;
    this.#settings = settings;
    this.#intervalMs = intervalMs;
  }

  acknowledge(): void {
    if (this.#incident?.firing === true) this.#incident.acknowledged = true;
  }

  /** One row: null is a missing sample. `silenced` says which messages are held back now. */
  row(atMs: number, value: number | null, silenced: (level: Level) => boolean): void {
    const sinceMs = this.#lastRowMs === null ? 0 : atMs - this.#lastRowMs;
    this.#lastRowMs = atMs;
    if (value !== null) {
      this.#samples.push({ value, spanMs: Math.min(sinceMs, 2 * this.#intervalMs) });
      this.#judge(value, (kind, change) => this.#send(kind, atMs, silenced, change), atMs);
    }
    this.#calm(atMs, silenced);
  }

  // What the samples say.

  /** How long the newest samples all fulfil something: the first of them begins it; null if the newest does not. */
  #runMs(holds: (value: number) => boolean): number | null {
    const first = this.#samples.findLastIndex(({ value }) => !holds(value)) + 1;
    if (first === this.#samples.length) return null;
    return this.#samples.slice(first + 1).reduce((sum, { spanMs }) => sum + spanMs, 0);
  }

  #breaches(level: Level, value: number): boolean {
    const threshold = this.#rule.thresholds[level];
    return threshold !== undefined && breaches(this.#rule.operator, value, threshold);
  }

  /** Past `clear` of a level: higher levels clear as far below their threshold as the lowest one does. */
  #recovered(level: Level, value: number): boolean {
    const { thresholds, clear, operator } = this.#rule;
    const threshold = thresholds[level];
    if (threshold === undefined) return true;
    const lowest = levels.flatMap((one) => thresholds[one] ?? [])[0] ?? threshold;
    const clearAt = clear === null ? threshold : threshold - (lowest - clear);
    return !breaches(operator, value, clearAt) && !breaches(operator, value, threshold);
  }

  #reached(): Level | null {
    const isReached = (level: Level): boolean =>
      (this.#runMs((value) => this.#breaches(level, value)) ?? never) >= this.#rule.forMs;
    return levels.filter(isReached).at(-1) ?? null;
  }

  #judge(value: number, send: (kind: string, change: () => void) => void, atMs: number): void {
    const [level, reached] = [this.#level, this.#reached()];
    if (level === null) {
      this.#level = reached;
      if (reached !== null) this.#fired(reached, atMs, send);
      return;
    }
    if (reached !== null && rank(reached) > rank(level)) {
      this.#level = reached;
      this.#escalated(reached, atMs, send);
      return;
    }
    const recoveredMs = this.#runMs((one) => this.#recovered(level, one));
    if (recoveredMs === null) {
      if (this.#breaches(level, value)) this.#still(level, atMs, send);
    } else if (recoveredMs >= this.#rule.keepFiringForMs) {
      const isLower = (one: Level): boolean =>
        rank(one) < rank(level) && !this.#recovered(one, value);
      this.#level = levels.filter(isLower).at(-1) ?? null;
      if (this.#level === null) this.#resolved(atMs, send);
      else this.#deescalated(this.#level, atMs);
    }
  }

  // What people are told of it.

  #send(kind: string, atMs: number, silenced: (level: Level) => boolean, change: () => void): void {
    const incident = this.#incident!;
    const { level } = incident;
    if (!silenced(level)) {
      this.told.push({ kind, level, atMs });
      change();
      return;
    }
    if (kind === "firing" || kind === "escalated") incident.owed = level;
    if (kind === "flapping") {
      incident.flapping = false;
      if (!incident.believed) incident.owed = level;
    }
  }

  /** Since people were told that it fires, at a level or a higher one. */
  #sinceMs(level: Level, atMs: number): number {
    const times = levels
      .filter((one) => rank(one) >= rank(level))
      .map((one) => this.#incident?.toldMs.get(one) ?? never);
    return atMs - Math.max(...times);
  }

  /** Whether people know of a level already: within the cooldown; while it flaps, within the incident. */
  #known(level: Level, atMs: number): boolean {
    const sinceMs = this.#sinceMs(level, atMs);
    const { flapping, startMs } = this.#incident!;
    return sinceMs < this.#settings.cooldownMs || (flapping && sinceMs <= atMs - startMs);
  }

  #isTold(level: Level, atMs: number, tellings: number): () => void {
    const incident = this.#incident!;
    return () => {
      incident.toldMs.set(level, atMs);
      incident.tellings = tellings;
      incident.believed = true;
      incident.owed = null;
    };
  }

  #changes(atMs: number): void {
    const incident = this.#incident!;
    incident.changesMs = incident.changesMs.filter((one) => atMs - one < 15 * minute);
    incident.changesMs.push(atMs);
  }

  /** Four changes in a quarter of an hour: told once. */
  #flaps(atMs: number, send: (kind: string, change: () => void) => void): boolean {
    const incident = this.#incident!;
    if (incident.flapping) return true;
    if (incident.changesMs.length < 4) return false;
    incident.flapping = true;
    if (!incident.acknowledged) send("flapping", this.#isTold(incident.level, atMs, 1));
    return true;
  }

  /** A level that people do not know of is told, whoever acknowledged a lower one. */
  #news(kind: string, atMs: number, send: (kind: string, change: () => void) => void): boolean {
    const incident = this.#incident!;
    if (this.#known(incident.level, atMs)) return false;
    incident.acknowledged = false;
    send(kind, this.#isTold(incident.level, atMs, 1));
    return true;
  }

  #fired(level: Level, atMs: number, send: (kind: string, change: () => void) => void): void {
    const before = this.#incident;
    const { cooldownMs } = this.#settings;
    const isSame =
      before !== null &&
      (before.flapping ||
        this.#sinceMs("info", atMs) < cooldownMs ||
        (before.owed !== null && atMs - before.startMs < cooldownMs));
    if (isSame) {
      before.firing = true;
      before.level = level;
      this.#changes(atMs);
      if (!this.#news("firing", atMs, send)) this.#flaps(atMs, send);
      return;
    }
    this.#incident = {
      startMs: atMs,
      level,
      firing: true,
      toldMs: before?.toldMs ?? new Map<Level, number>(),
      tellings: 0,
      believed: false,
      owed: null,
      changesMs: before?.changesMs ?? [],
      flapping: false,
      acknowledged: false,
    };
    this.#changes(atMs);
    if (!this.#flaps(atMs, send)) send("firing", this.#isTold(level, atMs, 1));
  }

  #escalated(level: Level, atMs: number, send: (kind: string, change: () => void) => void): void {
    this.#incident!.level = level;
    this.#news("escalated", atMs, send);
  }

  /** People who never heard of the higher level are owed the lower one, unless they know it of this incident. */
  #deescalated(level: Level, atMs: number): void {
    const incident = this.#incident!;
    incident.level = level;
    if (incident.owed === null) return;
    const knows = incident.believed && this.#sinceMs(level, atMs) <= atMs - incident.startMs;
    incident.owed = knows ? null : level;
  }

  #resolved(atMs: number, send: (kind: string, change: () => void) => void): void {
    this.#incident!.firing = false;
    this.#changes(atMs);
    if (!this.#flaps(atMs, send)) this.#over(send);
  }

  /** A recovery is told to those who believe that it fires. */
  #over(send: (kind: string, change: () => void) => void): void {
    const incident = this.#incident!;
    const { believed, acknowledged } = incident;
    const isOver = (): void => {
      incident.believed = false;
    };
    if (believed && !acknowledged) send("resolved", isOver);
    else isOver();
  }

  #still(level: Level, atMs: number, send: (kind: string, change: () => void) => void): void {
    const incident = this.#incident!;
    if (incident.acknowledged) return;
    const { owed, believed, tellings } = incident;
    const kind = believed ? "escalated" : "firing";
    if (owed !== null && rank(level) >= rank(owed) && this.#news(kind, atMs, send)) return;
    if (incident.flapping || this.#sinceMs("info", atMs) < this.#distanceMs()) return;
    send(believed ? "repeated" : "firing", this.#isTold(level, atMs, tellings + 1));
  }

  /** The distance to the next repetition. */
  #distanceMs(): number {
    const { cooldownMs, repeat } = this.#settings;
    const { believed, tellings } = this.#incident!;
    if (!believed || repeat === "every") return Math.max(cooldownMs, minute);
    if (repeat === "never") return Number.POSITIVE_INFINITY;
    const doubled = Math.min(240 * minute, cooldownMs * 2 ** Math.max(0, tellings - 1));
    return Math.max(cooldownMs, doubled, minute);
  }

  /** A quarter of an hour without a change ends the flapping; only then is it told that it is over. */
  #calm(atMs: number, silenced: (level: Level) => boolean): void {
    const incident = this.#incident;
    if (incident === null || !incident.flapping) return;
    if (atMs - (incident.changesMs.at(-1) ?? never) < 15 * minute) return;
    incident.flapping = false;
    incident.changesMs = [];
    if (!incident.firing) this.#over((kind, change) => this.#send(kind, atMs, silenced, change));
  }
}
