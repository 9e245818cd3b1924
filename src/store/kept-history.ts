import * as v from "valibot";
import { dayOfIncident, type HistoryEntry, type HistoryPort } from "../core/history.ts";
import { errorText } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import { historySchema } from "./history.ts";
import type { LocalFiles } from "./local.ts";
import { dayMs } from "./slots.ts";

/** Some 1.5 kB each: what an outage may take of memory and disk is 1.5 MB. */
const maxWaiting = 1_000;

export interface KeptHistoryDeps {
  readonly history: HistoryPort;
  readonly local: LocalFiles;
  readonly file: string;
  readonly log: Log;
  readonly historyDays: () => number;
}

/** A history that outlasts a store that is away, and a restart meanwhile. */
export class KeptHistory {
  readonly #deps: KeptHistoryDeps;
  /** By incident, those put first come first. */
  readonly #waiting = new Map<string, HistoryEntry>();
  #sending: Promise<void> | null = null;
  #isAway = false;
  #isSaved = false;

  constructor(deps: KeptHistoryDeps) {
    this.#deps = deps;
  }

  /** Keeps an entry in the place of an earlier one of its incident. Never rejects. */
  async put(entry: HistoryEntry): Promise<void> {
    const { id } = entry.incident;
    this.#waiting.delete(id);
    this.#waiting.set(id, entry);
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > maxWaiting && oldest !== undefined) this.#waiting.delete(oldest);
    await this.flush();
  }

  async get(day: number, id: string): Promise<HistoryEntry | null> {
    return this.#waiting.get(id) ?? this.#deps.history.get(day, id);
  }

  /** With those that wait; while the store is away, these alone. Rejects when nothing is known. */
  async day(day: number): Promise<readonly HistoryEntry[]> {
    const own = [...this.#waiting.values()].filter(
      ({ incident }) => dayOfIncident(incident) === day,
    );
    const stored = await this.#deps.history.day(day).catch((cause: unknown) => {
      if (own.length === 0) throw cause;
      return [];
    });
    return [...own, ...stored.filter(({ incident }) => !this.#waiting.has(incident.id))];
  }

  /** Sends what waits. Never rejects. */
  flush(): Promise<void> {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = null;
    });
    return this.#sending;
  }

  /** Takes up what an earlier run could not send; what is unreadable is dropped with a warning. */
  async load(): Promise<void> {
    const { local, file, log } = this.#deps;
    const text = await local.read(file);
    if (text === null) return;
    const saved = v.safeParse(v.pipe(v.string(), v.parseJson(), v.array(historySchema)), text);
    if (!saved.success) return log.warn("history of an earlier run unreadable", { file });
    for (const entry of saved.output)
      if (!this.#waiting.has(entry.incident.id)) this.#waiting.set(entry.incident.id, entry);
    this.#isSaved = saved.output.length > 0;
  }

  async #sendAll(): Promise<void> {
    const { history, log, historyDays } = this.#deps;
    try {
      for (const [id, entry] of this.#waiting) {
        const days = dayOfIncident(entry.incident) + 1 + historyDays();
        await history.put(entry, (days * dayMs) / 1_000);
        // It may have been replaced by a newer one meanwhile, which is sent in its turn.
        if (this.#waiting.get(id) === entry) this.#waiting.delete(id);
      }
      if (this.#isAway) log.info("history stored again");
      this.#isAway = false;
    } catch (cause) {
      if (!this.#isAway) log.warn("history waits for the store", { cause: errorText(cause) });
      this.#isAway = true;
    }
    await this.#save();
  }

  /** What waits outlives the agent. */
  async #save(): Promise<void> {
    const all = [...this.#waiting.values()];
    if (all.length === 0 && !this.#isSaved) return;
    this.#isSaved = all.length > 0;
    await this.#deps.local.write(this.#deps.file, JSON.stringify(all));
  }
}
