import * as v from "valibot";
import { breaches, byLevel, levels, rank, type Level, type Rule } from "../core/rule.ts";

/** Where one rule stands on one series. Times are Unix milliseconds, durations milliseconds of observed time. */
export interface StepState {
  readonly phase: "ok" | "pending" | "firing" | "recovering";
  /** The level it fires at; null while it does not. */
  readonly level: Level | null;
  /** How long each level has been breached by every sample seen; a level not breached is absent. */
  readonly heldMs: Readonly<Partial<Record<Level, number>>>;
  /** How long the value has been on the recovered side of its level; null while it is not. */
  readonly clearedMs: number | null;
  /** The value furthest on the breaching side since it fired. */
  readonly peak: number | null;
  readonly lastValue: number | null;
  /** When `step` was last called, with or without a value. */
  readonly lastAtMs: number | null;
  /** Since when samples are missing; null while they come. */
  readonly noDataSinceMs: number | null;
}

/** What a sample changed; `still` says that the value breaches its level on. */
export interface StepTransition {
  readonly kind: "fired" | "escalated" | "deescalated" | "resolved" | "still";
  readonly level: Level;
  readonly threshold: number;
}

export interface StepInput {
  /** Null: the sample is missing. */
  readonly value: number | null;
  readonly nowMs: number;
  /** Longest time one sample may speak for; what lies beyond was not observed. */
  readonly maxGapMs: number;
}

export interface Stepped {
  readonly state: StepState;
  readonly transition: StepTransition | null;
}

export const okState: StepState = {
  phase: "ok",
  level: null,
  heldMs: {},
  clearedMs: null,
  peak: null,
  lastValue: null,
  lastAtMs: null,
  noDataSinceMs: null,
};

const moment = v.nullable(v.number());
const levelName = v.nullable(v.picklist(levels));
const savedState = v.object({
  phase: v.picklist(["ok", "pending", "firing", "recovering"]),
  level: levelName,
  heldMs: v.pipe(
    v.object({
      info: v.optional(v.number()),
      warning: v.optional(v.number()),
      critical: v.optional(v.number()),
    }),
    v.transform((held) => byLevel(held)),
  ),
  clearedMs: moment,
  peak: moment,
  lastValue: moment,
  lastAtMs: moment,
  noDataSinceMs: moment,
});

/** Time this sample adds to what was observed: since the last call, but never more than a sample may speak for. */
function observedMs(state: StepState, { nowMs, maxGapMs }: StepInput): number {
  return state.lastAtMs === null ? 0 : Math.min(maxGapMs, Math.max(0, nowMs - state.lastAtMs));
}

function held(
  state: StepState,
  rule: Rule,
  value: number,
  passedMs: number,
): Partial<Record<Level, number>> {
  const next: Partial<Record<Level, number>> = {};
  for (const level of levels) {
    const threshold = rule.thresholds[level];
    if (threshold === undefined || !breaches(rule.operator, value, threshold)) continue;
    const before = state.heldMs[level];
    next[level] = before === undefined ? 0 : before + passedMs;
  }
  return next;
}

/** The highest level breached for long enough. */
function reached(heldMs: Partial<Record<Level, number>>, forMs: number): Level | null {
  return levels.findLast((level) => (heldMs[level] ?? -1) >= forMs) ?? null;
}

/**
 * Whether a level has not yet recovered at a value. `clear` belongs to the lowest level; higher ones keep the same
 * distance between threshold and clear, so that none of them chatters around its threshold.
 */
function holds(rule: Rule, level: Level, value: number): boolean {
  const threshold = rule.thresholds[level];
  if (threshold === undefined) return false;
  const lowest =
    levels.map((other) => rule.thresholds[other]).find((other) => other !== undefined) ?? threshold;
  const distance = rule.clear === null ? 0 : rule.clear - lowest;
  return (
    breaches(rule.operator, value, threshold + distance) ||
    breaches(rule.operator, value, threshold)
  );
}

function further(rule: Rule, a: number | null, b: number): number {
  if (a === null) return b;
  return rule.operator === ">" || rule.operator === ">=" ? Math.max(a, b) : Math.min(a, b);
}

function transition(rule: Rule, kind: StepTransition["kind"], level: Level): StepTransition {
  return { kind, level, threshold: rule.thresholds[level] ?? 0 };
}

interface Seen {
  readonly value: number;
  readonly passedMs: number;
  readonly heldMs: Partial<Record<Level, number>>;
  /** The state with this sample taken in and nothing yet concluded. */
  readonly base: StepState;
}

function stepQuiet(rule: Rule, { value, heldMs, base }: Seen): Stepped {
  const level = reached(heldMs, rule.forMs);
  if (level !== null)
    return {
      state: { ...base, phase: "firing", level, peak: value, clearedMs: null },
      transition: transition(rule, "fired", level),
    };
  const phase = Object.keys(heldMs).length > 0 ? "pending" : "ok";
  return { state: { ...base, phase, level: null, peak: null, clearedMs: null }, transition: null };
}

function stepFiring(rule: Rule, level: Level, seen: Seen): Stepped {
  const { value, base } = seen;
  const peak = further(rule, base.peak, value);
  const higher = reached(seen.heldMs, rule.forMs);
  if (higher !== null && rank(higher) > rank(level))
    return {
      state: { ...base, phase: "firing", level: higher, peak, clearedMs: null },
      transition: transition(rule, "escalated", higher),
    };
  if (holds(rule, level, value)) {
    const still = breaches(rule.operator, value, rule.thresholds[level] ?? value);
    return {
      state: { ...base, phase: "firing", peak, clearedMs: null },
      transition: still ? transition(rule, "still", level) : null,
    };
  }
  return stepCleared(rule, level, { ...seen, base: { ...base, peak } });
}

/** The value is on the recovered side of the level it fired at; it must stay there for `keep_firing_for`. */
function stepCleared(rule: Rule, level: Level, { value, passedMs, base }: Seen): Stepped {
  const clearedMs = base.clearedMs === null ? 0 : base.clearedMs + passedMs;
  const lower =
    levels.findLast((other) => rank(other) < rank(level) && holds(rule, other, value)) ?? null;
  if (clearedMs < rule.keepFiringForMs)
    return {
      state: { ...base, phase: lower === null ? "recovering" : "firing", clearedMs },
      transition: null,
    };
  if (lower !== null)
    return {
      state: { ...base, phase: "firing", level: lower, clearedMs: null },
      transition: transition(rule, "deescalated", lower),
    };
  return {
    state: { ...base, phase: "ok", level: null, clearedMs: null, peak: null },
    transition: transition(rule, "resolved", level),
  };
}

/**
 * One sample of one series under one rule. Pure. A missing sample neither advances nor resets anything: what has been
 * held stays held, what is firing goes on firing.
 */
export function step(state: StepState, rule: Rule, input: StepInput): Stepped {
  const { value, nowMs } = input;
  if (value === null)
    return {
      state: { ...state, lastAtMs: nowMs, noDataSinceMs: state.noDataSinceMs ?? nowMs },
      transition: null,
    };
  const passedMs = observedMs(state, input);
  const heldMs = held(state, rule, value, passedMs);
  const base: StepState = {
    ...state,
    heldMs,
    lastValue: value,
    lastAtMs: nowMs,
    noDataSinceMs: null,
  };
  const seen: Seen = { value, passedMs, heldMs, base };
  return state.level === null ? stepQuiet(rule, seen) : stepFiring(rule, state.level, seen);
}

/** A saved state; throws on anything that is none. */
export function parseState(saved: string): StepState {
  return v.parse(savedState, JSON.parse(saved));
}
