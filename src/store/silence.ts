import * as v from "valibot";
import { texts } from "../base/parse.ts";
import { AgentError } from "../core/errors.ts";
import { levels } from "../core/rule.ts";
import { silenceState, type Silence } from "../core/silence.ts";
import { dayMs } from "./slots.ts";

/** Some 500 bytes each: all of them are read whenever people are about to be told something. */
export const maxSilences = 200;
/** A silence that is over is still listed for a day. */
export const keepEndedMs = dayMs;
/** No silence ends later than 90 days from when it is made (the API sees to that), and then it is kept for a day. */
export const silencesExpireSeconds = (92 * dayMs) / 1_000;

const patterns = v.nullable(v.array(v.string()));

/** A silence as JSON that anybody may have written. */
export const silenceSchema: v.GenericSchema<unknown, Silence> = v.object({
  id: v.string(),
  matchers: v.object({
    node: patterns,
    cluster: patterns,
    rule: patterns,
    index: patterns,
    level: v.nullable(v.array(v.picklist(levels))),
    labels: texts,
    onlyLabels: v.exactOptional(v.boolean()),
  }),
  startsAtMs: v.number(),
  endsAtMs: v.number(),
  createdAtMs: v.number(),
  author: v.string(),
  comment: v.string(),
});

/** Those that are still kept. */
export function keptSilences(all: readonly Silence[], nowMs: number): readonly Silence[] {
  return all.filter(({ endsAtMs }) => nowMs - endsAtMs < keepEndedMs);
}

/**
 * The ids of those that go for a silence: the ones over for a day and, when there are too many, those that ended first.
 * Throws CONFLICT when too many are not over yet.
 */
export function replacedSilences(
  all: readonly Silence[],
  { id }: Silence,
  nowMs: number,
): readonly string[] {
  const others = all.filter((one) => one.id !== id);
  const kept = keptSilences(others, nowMs);
  const ended = kept
    .filter((one) => silenceState(one, nowMs) === "expired")
    .toSorted((a, b) => a.endsAtMs - b.endsAtMs);
  const excess = Math.max(0, kept.length + 1 - maxSilences);
  if (excess > ended.length)
    throw new AgentError(
      "CONFLICT",
      `there are already ${maxSilences} silences; end those that are not needed`,
    );
  const gone = others.filter((one) => !kept.includes(one));
  return [...gone, ...ended.slice(0, excess)].map((one) => one.id);
}
