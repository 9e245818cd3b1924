import * as v from "valibot";
import type { Acknowledgement, SigningKey } from "../core/action.ts";
import { dayMs } from "./slots.ts";

const weekMs = 7 * dayMs;

/** An agent that was away for longer has told people again meanwhile. */
export const acknowledgementsKeptMs = weekMs;
/** Some 150 bytes each: all are read before an alert is told again. */
export const maxAcknowledgements = 500;
/** Periods whose keys are kept: no link is valid for longer than a day. */
const keptPeriods = 2;
/** Keys go when no agent has made one for so long. */
export const keysExpireSeconds = (4 * weekMs) / 1_000;

/** An acknowledgement as JSON that anybody may have written. */
export const acknowledgementSchema: v.GenericSchema<unknown, Acknowledgement> = v.object({
  id: v.string(),
  alert: v.string(),
  by: v.string(),
  atMs: v.number(),
});

/** A key as it is kept. */
export const signingKeySchema: v.GenericSchema<unknown, SigningKey> = v.object({
  period: v.pipe(v.number(), v.integer(), v.minValue(0)),
  value: v.pipe(v.string(), v.regex(/^[\w-]{43}$/)),
});

/** Those that are still kept, newest first. */
export function keptAcknowledgements(
  all: readonly Acknowledgement[],
  nowMs: number,
): readonly Acknowledgement[] {
  return all
    .filter(({ atMs }) => nowMs - atMs < acknowledgementsKeptMs)
    .toSorted((a, b) => b.atMs - a.atMs);
}

/** The alerts whose acknowledgements go for another one. */
export function replacedAcknowledgements(
  all: readonly Acknowledgement[],
  { alert }: Acknowledgement,
  nowMs: number,
): readonly string[] {
  const others = all.filter((one) => one.alert !== alert);
  const kept = keptAcknowledgements(others, nowMs).slice(0, maxAcknowledgements - 1);
  return others.filter((one) => !kept.includes(one)).map((one) => one.alert);
}

/** The periods whose keys go when there is a key of another. */
export function replacedPeriods(
  all: readonly SigningKey[],
  { period }: SigningKey,
): readonly number[] {
  return all.map((key) => key.period).filter((other) => other <= period - keptPeriods);
}
