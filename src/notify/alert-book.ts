import type { Incident } from "../core/alert.ts";
import type { AlertMessage, Language, Ongoing } from "../core/delivery.ts";
import { formatLabels } from "../core/series.ts";
import { alertOf, isOver, type Alert } from "./alert.ts";

/** An end is said again for as long: Alertmanager's docs/alerts_api.md, as Prometheus does. */
const saidAgainMs = 5 * 60_000;

/** An alert as it stands in the book. */
export interface Entry extends Alert {
  readonly incident: Incident;
  readonly evidence: AlertMessage["evidence"];
  /** When it was last known to fire. */
  readonly seenAtMs: number;
  /** When it ended; null: it fires. */
  readonly endedAtMs: number | null;
}

/**
 * What an Alertmanager is to know: every alert that fires, and those that ended of late. A level is a label, so an
 * incident that escalates is an alert that ends and another that fires.
 */
export class AlertBook {
  readonly #language: Language;
  /** By label set. */
  #entries = new Map<string, Entry>();
  /** Label sets by incident: an Alertmanager may be told of a whole fleet. */
  #keys = new Map<string, Set<string>>();

  constructor(language: Language) {
    this.#language = language;
  }

  /** Everything that is to be said. */
  get all(): readonly Entry[] {
    return [...this.#entries.values()];
  }

  /** What is to be said of an incident; nothing when a newer one has taken its place. */
  of(id: string): readonly Entry[] {
    return [...(this.#keys.get(id) ?? [])].flatMap((key) => this.#entries.get(key) ?? []);
  }

  /**
   * Takes up what a message says, which may be a late one: what is known from later stays. That it fires is as old as
   * the incident's last news, so a late message never makes an alert of what may be over.
   */
  note(message: AlertMessage): void {
    const { incident, atMs } = message;
    const [key, entry] = this.#write(message, incident.updatedAtMs);
    const known = this.#entries.get(key);
    if (this.#isOutdated(incident, known)) return;
    for (const other of this.#keys.get(incident.id) ?? []) {
      const of = this.#entries.get(other);
      if (of?.endedAtMs === null) this.#entries.set(other, { ...of, endedAtMs: atMs });
    }
    const seenAtMs = Math.max(entry.seenAtMs, known?.seenAtMs ?? entry.seenAtMs);
    this.#put(key, { ...entry, seenAtMs });
  }

  /** Takes up all that goes on at a time; what is in the book and not among it has ended. */
  follow({ incidents, publicUrl }: Ongoing, nowMs: number): void {
    const entries = new Map<string, Entry>();
    const evidenceOf = new Map(this.all.map(({ incident, evidence }) => [incident.id, evidence]));
    const write = (incident: Incident): [string, Entry] => {
      const kind = incident.status === "firing" ? "firing" : "resolved";
      const evidence = evidenceOf.get(incident.id) ?? null;
      return this.#write({ kind, incident, publicUrl, evidence, atMs: nowMs }, nowMs);
    };
    const put = ([key, entry]: readonly [string, Entry]): void => {
      if (entry.endedAtMs === null || nowMs - entry.endedAtMs < saidAgainMs)
        entries.set(key, entry);
    };
    const ended = incidents.filter(({ status }) => status === "resolved");
    // The newest last, and what fires after it: they are what is true of a label set.
    for (const incident of ended.toSorted((a, b) => a.updatedAtMs - b.updatedAtMs))
      put(write(incident));
    for (const incident of incidents.filter(({ status }) => status === "firing"))
      put(write(incident));
    for (const [key, entry] of this.#entries)
      // The clock may have been set back since.
      if (!entries.has(key))
        put([key, { ...entry, endedAtMs: Math.min(nowMs, entry.endedAtMs ?? nowMs) }]);
    this.#entries = new Map();
    this.#keys = new Map();
    for (const [key, entry] of entries) this.#put(key, entry);
  }

  #put(key: string, entry: Entry): void {
    const before = this.#entries.get(key);
    if (before !== undefined) this.#keys.get(before.incident.id)?.delete(key);
    this.#entries.set(key, entry);
    const { id } = entry.incident;
    const keys = this.#keys.get(id);
    if (keys === undefined) this.#keys.set(id, new Set([key]));
    else keys.add(key);
  }

  /** Whether later news of the incident are known, or a later incident has its label set. */
  #isOutdated({ id, updatedAtMs, startedAtMs }: Incident, known: Entry | undefined): boolean {
    const of = known?.incident;
    const isReplaced = of !== undefined && of.id !== id && of.startedAtMs > startedAtMs;
    return isReplaced || this.of(id).some(({ incident }) => incident.updatedAtMs > updatedAtMs);
  }

  #write(message: Omit<AlertMessage, "id" | "recent">, nowMs: number): [string, Entry] {
    const { incident, evidence, atMs } = message;
    const alert = alertOf(message, this.#language);
    const endedAtMs = isOver(message) ? Math.min(atMs, incident.endedAtMs ?? atMs) : null;
    return [
      formatLabels(alert.labels),
      { ...alert, incident, evidence, seenAtMs: nowMs, endedAtMs },
    ];
  }
}
