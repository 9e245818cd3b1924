import type { SeriesKey, SeriesSelector } from "../../core/series.ts";
import { parseSelector } from "../../core/series.ts";
import type { AgentView, SeriesResult } from "../ports.ts";
import type { Aggregate } from "../../core/series.ts";
import type { SeriesAsk } from "./ask.ts";
import { Buckets } from "./buckets.ts";
import type { SeriesPlan } from "./read.ts";

/** The store keeps aggregates of each five minutes; buckets of several of these need no samples. */
export const pointMs = 300_000;
/** Values held at a time, some MB. */
const chunkValues = 200_000;

/** Whether a question can be answered from aggregates: what came last is not among them. */
export function isTiered({ stepMs, aggregate }: SeriesAsk): boolean {
  return stepMs !== null && stepMs % pointMs === 0 && aggregate !== "last";
}

/** A stretch of time that is read in one way: samples, or buckets of a step. */
interface Section {
  readonly fromMs: number;
  /** Inclusive. */
  readonly toMs: number;
  /** Null: samples. */
  readonly stepMs: number | null;
}

/** The multiples of a step that are the furthest apart inside of a span; null: there are no two of them. */
function inside(fromMs: number, endMs: number, stepMs: number): readonly [number, number] | null {
  const first = Math.ceil(fromMs / stepMs) * stepMs;
  const last = Math.floor(endMs / stepMs) * stepMs;
  return first < last ? [first, last] : null;
}

/** A span as sections of which the innermost has the widest step; empty ones are left out. */
function nested(
  [fromMs, endMs]: readonly [number, number],
  stepMs: number | null,
  inner: readonly Section[],
): readonly Section[] {
  const first = inner[0]?.fromMs ?? endMs;
  const last = (inner.at(-1)?.toMs ?? endMs - 1) + 1;
  return [
    { fromMs, toMs: first - 1, stepMs },
    ...inner,
    { fromMs: last, toMs: endMs - 1, stepMs },
  ].filter((section) => section.toMs >= section.fromMs);
}

/**
 * A span in whole buckets as far as it goes; at both ends in whole points, and in samples what is less. An end that is
 * not in the past is moved to the end of its bucket, where nothing can be yet.
 */
export function sectionsOf(
  { fromMs, toMs }: Pick<SeriesPlan, "fromMs" | "toMs">,
  stepMs: number,
  nowMs: number,
): readonly Section[] {
  const endMs = toMs >= nowMs ? Math.ceil((toMs + 1) / stepMs) * stepMs : toMs + 1;
  const buckets = inside(fromMs, endMs, stepMs);
  const points = inside(fromMs, endMs, pointMs);
  const innermost = buckets === null ? [] : nested(buckets, stepMs, []);
  const middle = points === null ? [] : nested(points, pointMs, innermost);
  return nested([fromMs, endMs], null, middle);
}

/** Pieces of a section of which each holds no more than is good. */
function* piecesOf({ fromMs, toMs, stepMs }: Section, keys: number): Generator<Section> {
  const count = Math.max(1, Math.floor(chunkValues / keys));
  const pieceMs = stepMs === null ? toMs + 1 - fromMs : count * stepMs;
  for (let beginMs = fromMs; beginMs <= toMs; beginMs += pieceMs)
    yield { fromMs: beginMs, toMs: Math.min(toMs, beginMs + pieceMs - 1), stepMs };
}

/** What a plan with a step needs besides. */
export interface TieredPlan extends SeriesPlan {
  readonly stepMs: number;
  readonly nowMs: number;
}

/** The series of some selectors that have a value between the ends of a plan. */
export async function* seriesIn(
  view: AgentView,
  plan: TieredPlan,
  selectors: readonly SeriesSelector[],
  guessed: number,
): AsyncGenerator<SeriesKey> {
  for (const section of sectionsOf(plan, plan.stepMs, plan.nowMs))
    for (const { stepMs, ...span } of piecesOf(section, guessed)) {
      const query = { node: plan.node, selectors, ...span };
      const { columns } =
        stepMs === null
          ? await view.readSeries(query)
          : await view.readBuckets({ ...query, stepMs });
      yield* columns.keys();
    }
}

/** The buckets of some series, in pieces: as those of their samples. */
export async function* tieredBuckets(
  view: AgentView,
  plan: TieredPlan,
  keys: readonly SeriesKey[],
  aggregate: Aggregate,
): AsyncGenerator<SeriesResult> {
  const buckets = new Buckets(keys, plan.stepMs, aggregate);
  const selectors = keys.map(parseSelector);
  for (const section of sectionsOf(plan, plan.stepMs, plan.nowMs))
    for (const { stepMs, ...span } of piecesOf(section, Math.max(1, keys.length))) {
      const query = { node: plan.node, selectors, ...span };
      if (stepMs === null) buckets.addSamples(await view.readSeries(query));
      else buckets.addBuckets(await view.readBuckets({ ...query, stepMs }));
      yield buckets.take();
    }
  buckets.close();
  yield buckets.take();
}
