import * as v from "valibot";
import { texts } from "../base/parse.ts";
import { type Incident, messageKinds, type MessageKind, type Transition } from "../core/alert.ts";
import { byLevel, levels, operators, rank, type Level } from "../core/rule.ts";

/** Something to tell about an incident: to people, to the admin server's records, or to both. */
export interface News {
  /** Unique; the message and the record carry it. */
  readonly id: string;
  readonly incident: Incident;
  readonly atMs: number;
  /** What people are told; null: nothing. */
  readonly message: MessageKind | null;
  /** What the records are told; null: nothing new. */
  readonly record: "firing" | "escalated" | "resolved" | null;
}

/** Whether there is anything to tell. */
export function isNews({ message, record }: News): boolean {
  return message !== null || record !== null;
}

/** What is remembered of an alert between transitions: its incident, and what has been told of it. */
export interface AlertRecord {
  readonly incident: Incident;
  /** When the last message that says "it fires" left, by level; Unix milliseconds. */
  readonly toldAtMs: Readonly<Partial<Record<Level, number>>>;
  /** Messages at the present level, for the doubling of `backoff`. */
  readonly tellings: number;
  /** People were told that it fires and not yet that it is over. */
  readonly open: boolean;
  /** The level at which a message that it fires, or escalated, was held back and is owed; null: none is. */
  readonly heldLevel: Level | null;
  /** When it fired and recovered of late, Unix milliseconds. */
  readonly changesMs: readonly number[];
  /** Handed in by somebody else. */
  readonly foreign: boolean;
  /** What was decided together with this state and is not known to be handed over yet, oldest first. */
  readonly untold: readonly News[];
  /** When it is over unless its sender reports it again; missing: nobody will say when it is over. */
  readonly untilMs?: number;
  /** The acknowledgement said to another agent that was taken up last; missing: none was. */
  readonly acknowledgement?: string;
}

const minuteMs = 60_000;
/** Changes count as flapping within a quarter of an hour; a quarter of an hour without one ends it. */
export const flapWindowMs = 15 * minuteMs;

/** Time since people were last told that it fires at this level or a higher one. */
export function sinceToldMs(record: AlertRecord, level: Level, nowMs: number): number {
  const times = levels
    .filter((other) => rank(other) >= rank(level))
    .map((other) => record.toldAtMs[other]);
  const last = Math.max(...times.map((time) => time ?? Number.NEGATIVE_INFINITY));
  return nowMs - last;
}

/** Records that a message saying "it fires" leaves now. */
export function told(record: AlertRecord, level: Level, nowMs: number): AlertRecord {
  return {
    ...record,
    toldAtMs: { ...record.toldAtMs, [level]: nowMs },
    tellings: record.tellings + 1,
    open: true,
    heldLevel: null,
  };
}

/** The record with parts of its incident replaced. */
export function withIncident(record: AlertRecord, change: Partial<Incident>): AlertRecord {
  return { ...record, incident: { ...record.incident, ...change } };
}

/** Whether what is decided next may depend on which of the two is remembered: values, their times and peaks do not count. */
export function isDecisive(before: AlertRecord | undefined, after: AlertRecord): boolean {
  const parts = ({ incident, open, heldLevel }: AlertRecord): readonly unknown[] => [
    incident.level,
    incident.status,
    incident.flapping,
    incident.acknowledgedBy,
    open,
    heldLevel,
  ];
  if (before === undefined) return true;
  const known = parts(before);
  return parts(after).some((part, at) => part !== known[at]);
}

/** Counts a firing or a recovery. */
export function changed(record: AlertRecord, nowMs: number): AlertRecord {
  const recent = record.changesMs.filter((at) => nowMs - at < flapWindowMs);
  return { ...record, changesMs: [...recent, nowMs] };
}

/** The incident that begins with a transition. */
export function freshIncident(transition: Transition, id: string): Incident {
  return {
    id,
    subject: transition.subject,
    status: "firing",
    level: transition.level,
    threshold: transition.threshold,
    value: transition.value,
    peak: transition.peak,
    startedAtMs: transition.claimedAtMs ?? transition.atMs,
    updatedAtMs: transition.atMs,
    endedAtMs: null,
    flaps: 0,
    flapping: false,
    acknowledgedBy: null,
    noData: false,
  };
}

/** The part of an incident that follows the value. */
export function followed({
  level,
  threshold,
  value,
  peak,
  atMs,
  subject,
}: Transition): Partial<Incident> {
  return { level, threshold, value, peak, updatedAtMs: atMs, subject, noData: false };
}

const optionalText = v.nullable(v.string());
const optionalNumber = v.nullable(v.number());
const savedIncident = v.object({
  id: v.string(),
  subject: v.object({
    key: v.string(),
    rule: v.string(),
    index: v.string(),
    unit: v.string(),
    labels: texts,
    operator: v.nullable(v.picklist(operators)),
    message: optionalText,
    runbookUrl: optionalText,
    sourceUrl: v.exactOptional(v.string()),
    channels: v.nullable(v.array(v.string())),
    cooldownMs: optionalNumber,
    node: v.object({ cluster: v.string(), name: v.string(), ip: v.string() }),
  }),
  status: v.picklist(["firing", "resolved"]),
  level: v.picklist(levels),
  threshold: optionalNumber,
  value: optionalNumber,
  peak: optionalNumber,
  startedAtMs: v.number(),
  updatedAtMs: v.number(),
  endedAtMs: optionalNumber,
  flaps: v.number(),
  flapping: v.boolean(),
  acknowledgedBy: optionalText,
  noData: v.boolean(),
});
const savedNews = v.object({
  id: v.string(),
  incident: savedIncident,
  atMs: v.number(),
  message: v.nullable(v.picklist(messageKinds)),
  record: v.nullable(v.picklist(["firing", "escalated", "resolved"])),
});
const savedRecord = v.object({
  incident: savedIncident,
  toldAtMs: v.pipe(
    v.object({
      info: v.optional(v.number()),
      warning: v.optional(v.number()),
      critical: v.optional(v.number()),
    }),
    v.transform((told) => byLevel(told)),
  ),
  tellings: v.number(),
  open: v.boolean(),
  // An older version held nothing back.
  heldLevel: v.optional(v.nullable(v.picklist(levels)), null),
  changesMs: v.array(v.number()),
  foreign: v.boolean(),
  // An older version handed over what it had decided without noting it.
  untold: v.optional(v.array(savedNews), []),
  untilMs: v.exactOptional(v.number()),
  acknowledgement: v.exactOptional(v.string()),
});

/** A saved record; throws on anything that is none. */
export function parseRecord(saved: string): AlertRecord {
  return v.parse(savedRecord, JSON.parse(saved));
}
