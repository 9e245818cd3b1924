import type { ActionLink } from "./action.ts";
import type { AlertSubject, Incident, MessageKind } from "./alert.ts";
import type { Level } from "./rule.ts";

export type Language = "zh-CN" | "en";

/** A process that may have caused an alert. */
export interface ProcessUse {
  readonly pid: number;
  /** The kernel's short name of it. */
  readonly name: string;
  readonly value: number;
  /** Percent of one core, bytes in RAM, or bytes read and written a second. */
  readonly unit: "%" | "B" | "B/s";
  /** `namespace/pod/container`, the best known short of it, or a systemd unit; null: nobody knows. */
  readonly owner: string | null;
}

/** How much of the last 10 and 60 seconds was lost by waiting, in percent. */
export interface Stall {
  readonly avg10: number;
  readonly avg60: number;
}

/** Waiting for one resource by the kernel's pressure stall information. */
export interface Pressure {
  /** At least one task waited. */
  readonly some: Stall;
  /** All tasks waited at once; null: this kernel does not say (of cpu it does from 5.13 on). */
  readonly full: Stall | null;
}

/** What tasks may wait for, as the files of /proc/pressure are called. */
export const pressureNames = ["cpu", "memory", "io"] as const;
export type PressureName = (typeof pressureNames)[number];
/** Pressure by resource; the kernel knows of at least one of them. */
export type Pressures = Readonly<Partial<Record<PressureName, Pressure>>>;

/** What may have caused an alert, as the host was when it fired. */
export interface Evidence {
  /** Those that use most of what it is about, biggest first; null: they were not looked at, or could not be. */
  readonly processes: readonly ProcessUse[] | null;
  /** Null: the kernel has none. */
  readonly pressure: Pressures | null;
}

/** What is to be told: an incident at the moment of a transition, with no language and no channel yet. */
export interface AlertMessage {
  /** Unique per message; a record at the admin server has the same one. */
  readonly id: string;
  readonly kind: MessageKind;
  readonly atMs: number;
  readonly incident: Incident;
  /** The series in the half hour before, evenly spaced, oldest first; null where missing. */
  readonly recent: readonly (number | null)[];
  /** Time between two of them, the last being of `atMs`; missing: an older version wrote down neither. */
  readonly recentStepMs?: number;
  /** Null: nobody looked. */
  readonly evidence: Evidence | null;
  /** What links start with; null: no links. */
  readonly publicUrl: string | null;
  /** What may be done about it, as links; missing: nothing, or an older version wrote it down. */
  readonly actions?: readonly ActionLink[];
}

/** One message for one channel. */
export interface Job {
  /** The same wherever it is made of the same message for the same channel. */
  readonly id: string;
  readonly channel: string;
  readonly message: AlertMessage;
  readonly createdAtMs: number;
  readonly attempts: number;
}

/** What became of one attempt. A channel never retries by itself; it only says whether that makes sense. */
export type Outcome =
  | {
      readonly outcome: "sent";
      readonly code: string;
      /** What should be known all the same, such as who did not get it. */
      readonly note?: string;
    }
  | {
      readonly outcome: "retry";
      readonly code: string;
      readonly reason: string;
      /** Not before this many milliseconds from now, when the service said so. */
      readonly retryAfterMs?: number;
    }
  | { readonly outcome: "refused"; readonly code: string; readonly reason: string };

/** One incident in a digest. */
export interface DigestItem {
  /** The newest news of it. */
  readonly message: AlertMessage;
  /** Nobody was told that it began: of what is over by now, this is the first and the last that people hear. */
  readonly isFirst: boolean;
}

/** News of many incidents that go out as one message, because there are more of them than may be sent one by one. */
export interface Digest {
  readonly id: string;
  readonly atMs: number;
  /** One for each incident; what is critical comes first, then warnings, then the rest; what is over comes last. */
  readonly items: readonly DigestItem[];
  /** What links start with; null: no links. */
  readonly publicUrl: string | null;
}

/** What goes on: incidents that fire and those that ended of late. */
export interface Ongoing {
  readonly incidents: readonly Incident[];
  /** What links start with; null: no links. */
  readonly publicUrl: string | null;
}

/** The way of a channel that must be told again and again what fires, because it forgets what is not repeated. */
export interface KeepFiring {
  /** How often. */
  readonly everyMs: number;
  /** Says all that goes on; what was said before and is not among it is over. Null: there was nothing to say. */
  send(ongoing: Ongoing, signal: AbortSignal): Promise<Outcome | null>;
}

/** Something a message can be given to: a robot, a mail server, the admin server's records. */
export interface Channel {
  send(message: AlertMessage, signal: AbortSignal): Promise<Outcome>;
  /** Many as one; without it, each is sent alone. */
  readonly sendDigest?: (digest: Digest, signal: AbortSignal) => Promise<Outcome>;
  /** Whether it is to be told of an alert at all; without it, of every one. */
  readonly takes?: (subject: AlertSubject) => boolean;
  readonly keepFiring?: KeepFiring;
  /** Gives back connections; nothing is sent afterwards. */
  close(): Promise<void>;
}

/** No more than `count` messages in any window of `perMs`. */
export interface RateLimit {
  readonly count: number;
  readonly perMs: number;
}

/** Leave to send one message, to be told when the robot has answered; or how long there is none. */
export type Leave = { readonly arrived: () => Promise<void> } | { readonly waitMs: number };

/** How far a robot may be used now. */
export interface Budget {
  /** Messages that may leave at once; null: no limit. */
  readonly left: number | null;
  /** Messages that left since midnight, UTC. */
  readonly today: number;
}

/**
 * Counts what is sent to each robot by everybody who uses it, so that its limits hold whoever sends. `robot` is what the
 * service counts by. Everything rejects with STORE_UNAVAILABLE when nobody can be asked.
 */
export interface Meter {
  take(robot: string, limits: readonly RateLimit[]): Promise<Leave>;
  /** Lets nobody send for a time: the robot asked for it. */
  hold(robot: string, ms: number): Promise<void>;
  budget(robot: string, limits: readonly RateLimit[]): Promise<Budget>;
}

/** What people want a channel's messages to say instead of what they say; checked. Null: as they are. */
export interface Template {
  readonly title: string | null;
  readonly text: string | null;
}

/** A channel as a source configured it; the plugin of its type has already checked the settings. */
export interface ChannelSpec {
  readonly name: string;
  readonly type: string;
  readonly enabled: boolean;
  /** Levels that go there; null: all. */
  readonly levels: readonly Level[] | null;
  readonly language: Language | null;
  /** Messages a minute where that is to be less than what the service allows; null: as it allows. */
  readonly maxPerMinute: number | null;
  readonly template: Template | null;
  /** The plugin's own settings, parsed. */
  readonly settings: unknown;
  /** The settings as a source gave them, secrets as `"***"`, for people to look at. */
  readonly shown: Readonly<Record<string, unknown>>;
}

export const receiptOutcomes = ["pending", "sent", "retrying", "refused", "dead"] as const;
export type ReceiptOutcome = (typeof receiptOutcomes)[number];

/** What became of one message at one channel. */
export interface Receipt {
  readonly id: string;
  /** The incident. */
  readonly alert: string;
  readonly channel: string;
  readonly type: string;
  readonly kind: MessageKind;
  readonly outcome: ReceiptOutcome;
  readonly attempts: number;
  readonly code: string | null;
  /** The service's own words, redacted. */
  readonly message: string | null;
  /** The id of the digest it went out in, or null. */
  readonly digest: string | null;
  readonly createdAtMs: number;
  readonly settledAtMs: number | null;
}

/** Where jobs wait: those of a channel for one robot, so that who sends them elsewhere keeps to other jobs. */
export interface Queue {
  readonly channel: string;
  /** What the service counts messages by. */
  readonly robot: string;
  /** No other agent can send them. */
  readonly isOwn: boolean;
}

/** A job that waits, and how long until its time has come; 0: it has. */
export interface Waiting {
  readonly job: Job;
  readonly dueInMs: number;
}

/** What an attempt made of a job. */
export interface Settlement {
  readonly job: Job;
  readonly receipt: Receipt;
  /** When it is to be tried again; null: it is over. */
  readonly retryInMs: number | null;
}

/**
 * Leave to take jobs out of a queue, which one agent has at a time. It ends by itself some seconds after it was last
 * kept. Everything rejects with STORE_UNAVAILABLE when nobody can be asked.
 */
export interface Lead {
  /** How often it must be kept. */
  readonly keepEveryMs: number;
  /** Those that are due first, in the order of their time. */
  waiting(max: number): Promise<readonly Waiting[]>;
  /** Takes jobs out, or puts them back for later, with their receipts, all at once. False: another leads by now. */
  settle(all: readonly Settlement[]): Promise<boolean>;
  /** Goes on leading. False: another leads by now. */
  keep(): Promise<boolean>;
  /** Another may lead. */
  end(): Promise<void>;
}

/** The lead, or when to ask again: another has it (`isLed`), or nothing is due; null: nothing waits. */
export type Leading =
  { readonly lead: Lead } | { readonly waitMs: number | null; readonly isLed?: boolean };

/** Jobs of one agent in a queue. */
export interface Depth {
  readonly count: number;
  /** Since when the oldest waits; null: none does. */
  readonly oldestAtMs: number | null;
}

/** A durable place for messages between the decision to send and the proof that they arrived. */
export interface Outbox {
  /** Puts a job in with its receipt, unless it is there or over. Never rejects. */
  enqueue(queue: Queue, job: Job, receipt: Receipt): Promise<void>;
  /** Resolves when what was put in so far would be found after a crash. */
  kept(): Promise<void>;
  lead(queue: Queue): Promise<Leading>;
  /** Takes this agent's jobs of a channel out, because they cannot be sent any more. */
  withdraw(channel: string): Promise<readonly Job[]>;
  /** How many jobs wait in a queue, of all agents as far as they can be asked. */
  depth(queue: Queue): Promise<number>;
  /** This agent's jobs that wait, as far as it knows, by channel. */
  own(): ReadonlyMap<string, Depth>;
}

/** A queue as the agents that share a store have it; everything rejects with STORE_UNAVAILABLE. */
export interface SharedOutbox {
  /** Says whether a job waits now or is over already; `full`: no more are taken. */
  enqueue(queue: Queue, job: Job, receipt: Receipt): Promise<"waits" | "over" | "full">;
  lead(queue: Queue): Promise<Leading>;
  /** Which jobs wait and which are over; of the others nothing is known. */
  look(queue: Queue, ids: readonly string[]): Promise<ReadonlyMap<string, "waits" | "over">>;
  /** Takes jobs out, whoever leads: they have arrived, or are to be sent another way. */
  remove(queue: Queue, ids: readonly string[]): Promise<void>;
  depth(queue: Queue): Promise<number>;
}

/** Where receipts are kept: one per job, replaced as it goes on; capped per channel. */
export interface ReceiptPort {
  put(receipt: Receipt): Promise<void>;
  /** Newest first. */
  list(query: { channel?: string; alert?: string; limit: number }): Promise<readonly Receipt[]>;
  /** Those of a channel with some ids, as far as they are kept. */
  find(channel: string, ids: readonly string[]): Promise<readonly Receipt[]>;
}
