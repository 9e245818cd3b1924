import type { MessageKind, Transition } from "../core/alert.ts";
import type { Repeat } from "../core/policy.ts";
import type { Mute } from "../core/mute.ts";
import { rank, type Level } from "../core/rule.ts";
import {
  changed,
  flapWindowMs,
  followed,
  freshIncident,
  sinceToldMs,
  told,
  withIncident,
  type AlertRecord,
} from "./record.ts";

const minuteMs = 60_000;
/** So many changes within the window are flapping. */
const flapChanges = 4;
/** `backoff` doubles the distance of repetitions up to this. */
const longestRepeatMs = 4 * 60 * minuteMs;

/** What a decision depends on besides the record. */
export interface DecideSettings {
  readonly cooldownMs: number;
  readonly repeat: Repeat;
  readonly sendResolved: boolean;
}

/** What follows from a transition: the new record, and the message to send or why none is sent. */
export interface Decision {
  readonly record: AlertRecord;
  readonly message: MessageKind | null;
  readonly suppressed:
    "cooldown" | "flapping" | "acknowledged" | "resolved_off" | "not_told" | Mute["reason"] | null;
  /** What holds the message back; null: nothing. */
  readonly mute: Mute | null;
}

function inCooldown(
  record: AlertRecord,
  level: Level,
  nowMs: number,
  settings: DecideSettings,
): boolean {
  return sinceToldMs(record, level, nowMs) < settings.cooldownMs;
}

function say(record: AlertRecord, message: MessageKind): Decision {
  return { record, message, suppressed: null, mute: null };
}

function hush(record: AlertRecord, suppressed: Decision["suppressed"]): Decision {
  return { record, message: null, suppressed, mute: null };
}

/** Says once that it flaps; null when this is no beginning of it. */
function beginFlapping(record: AlertRecord, nowMs: number): Decision | null {
  const { incident, changesMs } = record;
  if (incident.flapping || changesMs.length < flapChanges) return null;
  const flapping = withIncident(record, { flapping: true });
  if (incident.acknowledgedBy !== null) return hush(flapping, "acknowledged");
  return say({ ...told(flapping, incident.level, nowMs), tellings: 1 }, "flapping");
}

/** What a decision is made under; `id` names the incident if a new one begins. */
export interface DecideContext {
  readonly settings: DecideSettings;
  readonly id: string;
  readonly foreign: boolean;
}

/**
 * Whether a firing belongs to the incident before: it is not over, it flaps, or the cooldown still runs, also one that
 * would run had its message not been held back.
 */
function sameIncident(before: AlertRecord, atMs: number, settings: DecideSettings): boolean {
  const { flapping, status, startedAtMs } = before.incident;
  return (
    flapping ||
    (before.heldLevel !== null && atMs - startedAtMs < settings.cooldownMs) ||
    inCooldown(before, "info", atMs, settings) ||
    (status === "firing" && !before.foreign)
  );
}

function beginIncident(
  before: AlertRecord | undefined,
  transition: Transition,
  { id, foreign }: DecideContext,
): Decision {
  const fresh: AlertRecord = {
    incident: freshIncident(transition, id),
    toldAtMs: before?.toldAtMs ?? {},
    tellings: 0,
    open: false,
    heldLevel: null,
    changesMs: before?.changesMs ?? [],
    foreign,
    untold: before?.untold ?? [],
  };
  const record = changed(fresh, transition.atMs);
  const { level, atMs } = transition;
  return beginFlapping(record, atMs) ?? say(told(record, level, atMs), "firing");
}

function reopenIncident(
  before: AlertRecord,
  transition: Transition,
  settings: DecideSettings,
): Decision {
  const again = before.incident.status === "resolved";
  const reopened = withIncident(before, {
    ...followed(transition),
    status: "firing",
    endedAtMs: null,
    flaps: before.incident.flaps + (again ? 1 : 0),
  });
  const record = again ? changed(reopened, transition.atMs) : reopened;
  return (
    raised(record, transition, settings, "firing") ??
    beginFlapping(record, transition.atMs) ??
    hush(record, record.incident.flapping ? "flapping" : "cooldown")
  );
}

/**
 * A level above all that people were told of (within the cooldown; while it flaps, within the incident) always
 * passes, whoever has acknowledged the lower one. Null: it is not above.
 */
function raised(
  record: AlertRecord,
  { level, atMs }: Transition,
  settings: DecideSettings,
  kind: MessageKind,
): Decision | null {
  const sinceMs = sinceToldMs(record, level, atMs);
  const coveredMs = record.incident.flapping
    ? Math.max(settings.cooldownMs, atMs - record.incident.startedAtMs + 1)
    : settings.cooldownMs;
  if (sinceMs < coveredMs) return null;
  const freed = withIncident(record, { acknowledgedBy: null });
  return say({ ...told(freed, level, atMs), tellings: 1 }, kind);
}

function onEscalated(
  before: AlertRecord,
  transition: Transition,
  settings: DecideSettings,
): Decision {
  const record = withIncident(before, followed(transition));
  return (
    raised(record, transition, settings, "escalated") ??
    hush(record, record.incident.flapping ? "flapping" : "cooldown")
  );
}

function onResolved(
  before: AlertRecord,
  transition: Transition,
  settings: DecideSettings,
): Decision {
  const ended = {
    ...followed(transition),
    status: "resolved",
    endedAtMs: Math.max(before.incident.startedAtMs, transition.claimedAtMs ?? transition.atMs),
  } as const;
  const record = changed(withIncident(before, ended), transition.atMs);
  const flapping = beginFlapping(record, transition.atMs);
  if (flapping !== null) return flapping;
  if (record.incident.flapping) return hush(record, "flapping");
  return tellResolved(record, settings);
}

function tellResolved(record: AlertRecord, settings: DecideSettings): Decision {
  const closed = { ...record, open: false };
  if (record.incident.acknowledgedBy !== null) return hush(closed, "acknowledged");
  if (!record.open) return hush(closed, "not_told");
  return settings.sendResolved ? say(closed, "resolved") : hush(closed, "resolved_off");
}

/** The distance to the next repetition; null: it is not repeated. */
function repeatAfterMs(record: AlertRecord, { cooldownMs, repeat }: DecideSettings): number | null {
  if (!record.open) return cooldownMs;
  switch (repeat) {
    case "never":
      return null;
    case "every":
      return cooldownMs;
    case "backoff":
      return Math.max(
        cooldownMs,
        Math.min(longestRepeatMs, cooldownMs * 2 ** Math.max(0, record.tellings - 1)),
      );
  }
}

/** At a lower level a message is owed only if people know of no such level of this incident. */
function onDeescalated(before: AlertRecord, transition: Transition): Decision {
  const record = withIncident(before, followed(transition));
  const { level, atMs } = transition;
  const sinceStartMs = atMs - record.incident.startedAtMs;
  const isKnown = record.open && sinceToldMs(record, level, atMs) <= sinceStartMs;
  const heldLevel = record.heldLevel === null || isKnown ? null : level;
  return hush({ ...record, heldLevel }, null);
}

/** The message that was held back, now that it is decided anew. Null: none is owed. */
function tellHeld(
  record: AlertRecord,
  transition: Transition,
  settings: DecideSettings,
): Decision | null {
  if (record.heldLevel === null || rank(transition.level) < rank(record.heldLevel)) return null;
  return raised(record, transition, settings, record.open ? "escalated" : "firing");
}

function onStill(before: AlertRecord, transition: Transition, settings: DecideSettings): Decision {
  const record = withIncident(before, followed(transition));
  if (record.incident.acknowledgedBy !== null) return hush(record, "acknowledged");
  const held = tellHeld(record, transition, settings);
  if (held !== null) return held;
  if (record.incident.flapping) return hush(record, "flapping");
  const gapMs = repeatAfterMs(record, settings);
  // Without a cooldown a repetition with every sample would be the storm it is meant to prevent.
  const leastMs = Math.max(gapMs ?? Number.POSITIVE_INFINITY, minuteMs);
  if (sinceToldMs(record, "info", transition.atMs) < leastMs) return hush(record, "cooldown");
  return say(told(record, transition.level, transition.atMs), record.open ? "repeated" : "firing");
}

function onIncident(
  before: AlertRecord,
  transition: Transition,
  settings: DecideSettings,
): Decision {
  switch (transition.kind) {
    case "fired":
      return reopenIncident(before, transition, settings);
    case "escalated":
      return onEscalated(before, transition, settings);
    case "deescalated":
      return onDeescalated(before, transition);
    case "resolved":
      return onResolved(before, transition, settings);
    case "still":
      return onStill(before, transition, settings);
  }
}

/**
 * What to tell about a transition. Pure; null when it concerns nothing (the end of what never began).
 * - No second message about the same alert and level within the cooldown; a higher level breaks it.
 * - Fired again within the cooldown: the same incident, a flap counted.
 * - A recovery is told once for each time people were told that it fires.
 */
export function decide(
  before: AlertRecord | undefined,
  transition: Transition,
  context: DecideContext,
): Decision | null {
  const { settings } = context;
  const ends = transition.kind === "resolved" || transition.kind === "deescalated";
  if (before === undefined) return ends ? null : beginIncident(before, transition, context);
  if (before.incident.status === "firing" && transition.kind !== "fired")
    return onIncident(before, transition, settings);
  if (ends) return null;
  return sameIncident(before, transition.atMs, settings)
    ? reopenIncident(before, transition, settings)
    : beginIncident(before, transition, context);
}

/** The end of flapping: after a quiet window what was held back is told, once. Null while nothing ends. */
export function settleFlapping(
  record: AlertRecord,
  nowMs: number,
  settings: DecideSettings,
): Decision | null {
  const last = record.changesMs.at(-1) ?? Number.NEGATIVE_INFINITY;
  if (!record.incident.flapping || nowMs - last < flapWindowMs) return null;
  const calm = { ...withIncident(record, { flapping: false }), changesMs: [] };
  return calm.incident.status === "resolved" ? tellResolved(calm, settings) : hush(calm, null);
}
