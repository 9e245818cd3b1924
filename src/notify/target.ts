import type {
  AlertMessage,
  Channel,
  Job,
  Meter,
  Outbox,
  Queue,
  RateLimit,
} from "../core/delivery.ts";
import type { LedgerDeps, Tally } from "./ledger.ts";

export interface DrainerDeps extends LedgerDeps {
  readonly outbox: Outbox;
  readonly meter: Meter;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Something messages are given to, with what must outlive a change of its settings. */
export interface Target {
  readonly name: string;
  readonly type: string;
  readonly channel: Channel;
  /** Where its jobs wait; what the service counts messages by, for the meter. */
  readonly queue: Queue;
  readonly limits: readonly RateLimit[];
  readonly tally: Tally;
}

/** The id of a message's job, and receipt, at a channel. */
export function receiptId(message: string, channel: string): string {
  return `${message}:${channel}`;
}

/** The job of one message for one target: its id is the same wherever it is made, so it is kept once. */
export function jobOf(message: AlertMessage, channel: string, nowMs: number): Job {
  return {
    id: receiptId(message.id, channel),
    channel,
    message,
    createdAtMs: nowMs,
    attempts: 0,
  };
}
