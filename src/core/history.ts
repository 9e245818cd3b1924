import type { Incident, MessageKind } from "./alert.ts";
import type { ReceiptOutcome } from "./delivery.ts";
import type { Level } from "./rule.ts";

/** What people were told of an incident. */
export interface Told {
  /** The message's id. */
  readonly id: string;
  readonly kind: MessageKind;
  readonly atMs: number;
}

/** What became of a message at a channel. */
export interface DeliverySummary {
  readonly kind: MessageKind;
  readonly channel: string;
  readonly outcome: ReceiptOutcome;
  readonly code: string | null;
  readonly atMs: number;
}

/** An incident as it is remembered. */
export interface HistoryEntry {
  readonly incident: Incident;
  /** The levels it was at, from its beginning on. */
  readonly levels: readonly { readonly level: Level; readonly atMs: number }[];
  /** Messages about it, the last ones of many. */
  readonly told: readonly Told[];
  /** Null: not looked at yet; receipts may still say. */
  readonly deliveries: readonly DeliverySummary[] | null;
}

/** The incidents of the whole fleet, by the day they began on. Everything rejects with STORE_UNAVAILABLE. */
export interface HistoryPort {
  /** Keeps an entry in the place of the one of its incident, until a Unix second. */
  put(entry: HistoryEntry, expireAt: number): Promise<void>;
  /** One that began on a day, in days since 1970 UTC. */
  get(day: number, id: string): Promise<HistoryEntry | null>;
  /** Those that began on a day, in no order. */
  day(day: number): Promise<readonly HistoryEntry[]>;
}

/** The day an incident began on. */
export function dayOfIncident({ startedAtMs }: Incident): number {
  return Math.floor(startedAtMs / 86_400_000);
}
