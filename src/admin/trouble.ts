import type { Redactor } from "../base/secret.ts";
import { createStatus, type StatusKeeper } from "../base/status.ts";
import { truncateBytes } from "../base/text.ts";
import type { Clock, ComponentStatus, Log } from "../core/ports.ts";
import type { Understood } from "./understand.ts";

/** How many polls there were, and what they brought; each poll is counted in exactly one of the others. */
export interface AdminSyncCounters {
  readonly polls: number;
  readonly applied: number;
  readonly unchanged: number;
  readonly unregistered: number;
  readonly refused: number;
  readonly failed: number;
}

/** What a poll brought; `unreachable` is a server that gave no answer at all. */
export type Outcome =
  | { readonly kind: "applied" | "unchanged" }
  | { readonly kind: "unreachable"; readonly reason: string }
  | Exclude<Understood, { kind: "good" | "unchanged" }>;

type Trouble = Extract<Outcome, { readonly reason: string }>;

interface Effect {
  readonly status: "degraded" | "down";
  readonly counter: keyof AdminSyncCounters;
  readonly event: string;
  /** Whether the server is given a rest; one that works and only says no is asked at the usual pace. */
  readonly backsOff: boolean;
  /** Whether a configuration came and could not be taken over. */
  readonly failedReload: boolean;
}

const failing = { counter: "failed", event: "admin sync failing", backsOff: true } as const;

/** What each kind of trouble does to the state of the part. */
export const effects: Readonly<Record<Trouble["kind"], Effect>> = {
  unregistered: {
    status: "degraded",
    counter: "unregistered",
    event: "node not registered at the admin server",
    backsOff: false,
    failedReload: false,
  },
  refused: {
    status: "degraded",
    counter: "refused",
    event: "admin answer refused",
    backsOff: false,
    failedReload: true,
  },
  unreadable: { ...failing, status: "degraded", failedReload: true },
  failed: { ...failing, status: "degraded", failedReload: false },
  unreachable: { ...failing, status: "down", failedReload: false },
};

/** All faults are told, up to what a status page can show. */
const maxReasonBytes = 4_096;

/** Warnings in one period of trouble: a server that is wrong in a new way at every poll must not fill the log. */
const maxWarnings = 20;

/** The state of the sync, told to the log when it changes: a warning when trouble begins, one line when it is over. */
export class TroubleLog {
  readonly #status: StatusKeeper;
  readonly #log: Log;
  readonly #redactor: Redactor;
  /** What has been warned of since it was last well. */
  readonly #warned = new Set<string>();

  constructor({ clock, log, redactor }: { clock: Clock; log: Log; redactor: Redactor }) {
    this.#status = createStatus(clock, "starting");
    this.#log = log;
    this.#redactor = redactor;
  }

  get status(): ComponentStatus {
    return this.#status.current;
  }

  /** A text without secrets, cut to what can be shown. */
  shown(text: string): string {
    return truncateBytes(this.#redactor.redact(text), maxReasonBytes);
  }

  report(trouble: Trouble): void {
    const { status, event } = effects[trouble.kind];
    const reason = this.shown(trouble.reason);
    this.#status.set(status, reason);
    const subject = trouble.kind === "refused" ? `${event}: ${reason}` : event;
    if (this.#warned.has(subject) || this.#warned.size >= maxWarnings) return;
    this.#warned.add(subject);
    this.#log.warn(event, { reason });
  }

  recovered(revision: string | null): void {
    this.#status.set("ok");
    if (this.#warned.size > 0) this.#log.info("admin sync recovered", { revision });
    this.#warned.clear();
  }
}
