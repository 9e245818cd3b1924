import type { Incident } from "../core/alert.ts";
import type { Receipt, ReceiptPort } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import {
  dayOfIncident,
  type DeliverySummary,
  type HistoryEntry,
  type Told,
} from "../core/history.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Telling } from "./telling.ts";

/** Where entries are kept; putting never rejects. */
export interface EntryStore {
  put(entry: HistoryEntry): Promise<void>;
  get(day: number, id: string): Promise<HistoryEntry | null>;
}

export interface HistoryDeps {
  readonly entries: EntryStore;
  readonly receipts: Pick<ReceiptPort, "find">;
  /** The channels messages may have gone to. */
  readonly channels: () => readonly string[];
  /** The id of the receipt of a message at a channel. */
  readonly receiptId: (message: string, channel: string) => string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Messages and levels that are remembered of an incident: it may be repeated for weeks. */
const maxEach = 50;
/** What is to arrive has, most likely, so long after the end. */
const summedUpAfterMs = 10 * 60_000;
/** Incidents that are followed at a time. */
const maxFollowed = 2_000;

function summaryOf({
  kind,
  channel,
  outcome,
  code,
  settledAtMs,
  createdAtMs,
}: Receipt): DeliverySummary {
  return { kind, channel, outcome, code, atMs: settledAtMs ?? createdAtMs };
}

function entryOf(incident: Incident): HistoryEntry {
  const { level, startedAtMs } = incident;
  return { incident, levels: [{ level, atMs: startedAtMs }], told: [], deliveries: null };
}

/** What an earlier run remembered of the same incident comes first. */
function joined(before: HistoryEntry | null, entry: HistoryEntry): HistoryEntry {
  if (before === null) return entry;
  const known = new Set(before.told.map(({ id }) => id));
  const last = before.levels.at(-1)?.level;
  const levels = entry.levels.filter(({ level }, at) => at > 0 || level !== last);
  return {
    ...entry,
    levels: [...before.levels, ...levels].slice(-maxEach),
    told: [...before.told, ...entry.told.filter(({ id }) => !known.has(id))].slice(-maxEach),
    // With nothing told since, they are as they were.
    deliveries: entry.told.length === 0 ? before.deliveries : null,
  };
}

/** Remembers what became of the incidents of this node, for the whole fleet to look at. */
export class History {
  readonly #deps: HistoryDeps;
  readonly #followed = new Map<string, HistoryEntry>();
  /** Incidents that an earlier run may have remembered more of. */
  readonly #unread = new Set<string>();
  /** One after another: an older entry must not replace a newer one. */
  #work: Promise<void> = Promise.resolve();

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
  }

  /** Follows an incident of an earlier run: its end is summed up. */
  follow(incident: Incident): void {
    if (this.#followed.has(incident.id)) return;
    this.#unread.add(incident.id);
    this.#set(entryOf(incident));
  }

  /** Remembers what happened, without being waited for. */
  note({ id, incident, message, atMs }: Telling): void {
    if (!this.#followed.has(incident.id) && incident.startedAtMs < atMs)
      this.#unread.add(incident.id);
    const before = this.#followed.get(incident.id) ?? entryOf(incident);
    const told: Told[] = message === null ? [] : [{ id, kind: message, atMs }];
    const last = before.levels.at(-1)?.level;
    const level = last === incident.level ? [] : [{ level: incident.level, atMs }];
    this.#set({
      incident,
      levels: [...before.levels, ...level].slice(-maxEach),
      told: [...before.told, ...told].slice(-maxEach),
      deliveries: null,
    });
    this.#keep(incident.id);
  }

  /** Sums up what became of the messages of incidents that are over. Never rejects. */
  async sumUp(): Promise<void> {
    const nowMs = this.#deps.clock.now();
    for (const { incident } of this.#followed.values()) {
      const { endedAtMs, id } = incident;
      if (endedAtMs === null || nowMs - endedAtMs < summedUpAfterMs) continue;
      try {
        await this.#read(id);
        const entry = this.#followed.get(id);
        if (entry === undefined) continue;
        if (entry.deliveries === null)
          await this.#deps.entries.put({ ...entry, deliveries: await this.#deliveriesOf(entry) });
        this.#followed.delete(id);
      } catch (cause) {
        this.#deps.log.debug("deliveries not summed up yet", { cause: errorText(cause) });
        return;
      }
    }
  }

  /** Resolves when everything noted so far is kept, or waits for the store. */
  async idle(): Promise<void> {
    await this.#work;
  }

  #set(entry: HistoryEntry): void {
    this.#followed.set(entry.incident.id, entry);
    const [oldest] = this.#followed.keys();
    if (this.#followed.size > maxFollowed && oldest !== undefined) this.#followed.delete(oldest);
  }

  #keep(id: string): void {
    this.#work = this.#work.then(async () => {
      await this.#read(id).catch((cause: unknown) => {
        this.#deps.log.debug("earlier history not read yet", { cause: errorText(cause) });
      });
      const entry = this.#followed.get(id);
      if (entry !== undefined) await this.#deps.entries.put(entry);
    });
  }

  /** Completes an entry by what an earlier run remembered. */
  async #read(id: string): Promise<void> {
    const entry = this.#followed.get(id);
    if (entry === undefined || !this.#unread.has(id)) return;
    const before = await this.#deps.entries.get(dayOfIncident(entry.incident), id);
    this.#unread.delete(id);
    const now = this.#followed.get(id) ?? entry;
    this.#followed.set(id, joined(before, now));
  }

  async #deliveriesOf({ told }: HistoryEntry): Promise<readonly DeliverySummary[]> {
    const { receipts, channels, receiptId } = this.#deps;
    const all: DeliverySummary[] = [];
    for (const channel of channels()) {
      const ids = told.map(({ id }) => receiptId(id, channel));
      if (ids.length > 0) all.push(...(await receipts.find(channel, ids)).map(summaryOf));
    }
    return all.toSorted((a, b) => a.atMs - b.atMs);
  }
}
