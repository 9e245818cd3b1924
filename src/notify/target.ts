import type { AlertMessage, Channel, Job, Outbox } from "../core/delivery.ts";
import type { LedgerDeps, Tally } from "./ledger.ts";
import type { SlidingWindow } from "./window.ts";

export interface DrainerDeps extends LedgerDeps {
  readonly outbox: Outbox;
  /** In [0, 1). */
  readonly random: () => number;
}

/** Something messages are given to, with what must outlive a change of its settings. */
export interface Target {
  readonly name: string;
  readonly type: string;
  readonly channel: Channel;
  readonly window: SlidingWindow;
  readonly tally: Tally;
}

/** The job of one message for one target: its id is the same wherever it is made, so it is kept once. */
export function jobOf(message: AlertMessage, channel: string, nowMs: number): Job {
  return {
    id: `${message.id}:${channel}`,
    channel,
    message,
    createdAtMs: nowMs,
    attempts: 0,
    notBeforeMs: nowMs,
  };
}
