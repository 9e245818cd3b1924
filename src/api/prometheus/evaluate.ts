import { mapParallel } from "../../base/parallel.ts";
import { type Labels, parseSelector, type SeriesKey } from "../../core/series.ts";
import { cutSpan, findSeries, nodesAtOnce, type Search, type Span, type Target } from "./fleet.ts";
import type { Steps } from "./params.ts";
import type { SeriesExpression } from "./syntax.ts";
import { lookbackMs, newestWriter, paneMs, type StepWriter, windowWriter } from "./windows.ts";

/** The values of one series at some times; NaN where there is none. */
export interface EvaluatedSeries {
  readonly labels: Labels;
  readonly values: Float64Array;
  /** Of a scalar, whose NaN is a value like others. */
  readonly isScalar?: true;
}

export interface Evaluated {
  readonly series: readonly EvaluatedSeries[];
  readonly warnings: readonly string[];
}

type Window = SeriesExpression["window"];

/** How a question is read. */
interface Plan {
  readonly steps: Steps;
  readonly window: Window;
  readonly span: Span;
  /** Buckets of that length, milliseconds; null: samples. */
  readonly bucketMs: number | null;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** The store keeps what five minutes held, and longer than the samples. */
const storedBucketMs = 300_000;
/** A shorter time is read sample by sample: that is quick, and exact to the millisecond. */
const bucketsFromMs = 6 * hourMs;
/** Values of a node read at a time, which is a day of three series; with 16 nodes some 20 MB while they are decoded. */
const chunkValues = 26_000;

/** The longest buckets of which the windows are made; null when those of the store do not fit. */
function bucketMsOf(plan: Omit<Plan, "bucketMs">, oldestSampleMs: number): number | null {
  const { steps, window, span } = plan;
  if (window === null) return null;
  const isLong = span.toMs - span.fromMs >= bucketsFromMs || span.fromMs < oldestSampleMs;
  const widest = [steps.stepMs, Math.abs(steps.startMs), dayMs].reduce(paneMs, window.rangeMs);
  return isLong && widest % storedBucketMs === 0 ? widest : null;
}

function planOf({ view, nowMs }: Search, window: Window, asked: Steps): Plan {
  // With one time there is no step to mind: the window is one part.
  const stepMs = asked.count === 1 ? (window?.rangeMs ?? 1) : asked.stepMs;
  const steps = { ...asked, stepMs };
  const endMs = steps.startMs + (steps.count - 1) * stepMs;
  const backMs = window?.rangeMs ?? lookbackMs;
  const span = cutSpan({ fromMs: steps.startMs - backMs + 1, toMs: endMs }, nowMs);
  const plan = { steps, window, span };
  const bucketMs = bucketMsOf(plan, nowMs - view.retentionDays() * dayMs);
  if (bucketMs === null) return { ...plan, bucketMs };
  // Windows made of buckets hold [t − range, t).
  return { ...plan, bucketMs, span: { fromMs: span.fromMs - 1, toMs: span.toMs - 1 } };
}

/** Throws LIMIT_EXCEEDED when an answer would be too much, before anything is read for it. */
function refuseTooMuch({ view, cost }: Search, plan: Plan, targets: readonly Target[]): void {
  const { steps, window, span, bucketMs } = plan;
  const counts = targets.map(({ series }) => series.length);
  const seriesCount = counts.reduce((sum, count) => sum + count, 0);
  cost.values(seriesCount * steps.count);
  const each = (span.toMs - span.fromMs) / (bucketMs ?? view.collectionIntervalMs());
  cost.samples(seriesCount * Math.max(0, each));
  if (window === null) return;
  // No samples are nearer to each other than a second.
  const partMs = Math.max(1_000, bucketMs ?? paneMs(window.rangeMs, steps.stepMs));
  const most = counts.reduce((max, count) => Math.max(max, count), 0);
  cost.parts(most * Math.min(nodesAtOnce, targets.length) * (window.rangeMs / partMs));
}

/** The pieces in which a time is read, in their order: no more than a day of samples, and whole days of buckets. */
function* pieces(
  { span, bucketMs }: Plan,
  seriesCount: number,
  intervalMs: number,
): Generator<Span> {
  const wantedMs = (chunkValues / seriesCount) * (bucketMs ?? intervalMs);
  const unitMs = wantedMs < dayMs && bucketMs === null ? hourMs : dayMs;
  const most = bucketMs === null ? dayMs / unitMs : Number.POSITIVE_INFINITY;
  const pieceMs = Math.max(1, Math.min(most, Math.floor(wantedMs / unitMs))) * unitMs;
  for (let fromMs = span.fromMs; fromMs <= span.toMs;) {
    const nextMs = (Math.floor(fromMs / pieceMs) + 1) * pieceMs;
    yield { fromMs, toMs: Math.min(span.toMs, nextMs - 1) };
    fromMs = nextMs;
  }
}

type Writers = ReadonlyMap<SeriesKey, StepWriter>;

async function readSamples(
  { view }: Search,
  query: Parameters<Search["view"]["readSeries"]>[0],
  writers: Writers,
): Promise<void> {
  const { timesMs, columns } = await view.readSeries(query);
  for (const [key, values] of columns) {
    const writer = writers.get(key);
    if (writer === undefined) continue;
    for (const [at, value] of values.entries())
      if (value !== null && Number.isFinite(value)) writer.add(timesMs[at] ?? 0, value, 1);
  }
}

async function readParts(
  { view }: Search,
  query: Parameters<Search["view"]["readBuckets"]>[0],
  writers: Writers,
  overTime: NonNullable<Window>["overTime"],
): Promise<void> {
  const { timesMs, columns } = await view.readBuckets(query);
  for (const [key, { counts, sums, mins, maxs }] of columns) {
    const writer = writers.get(key);
    const values = { avg: sums, min: mins, max: maxs }[overTime];
    if (writer === undefined) continue;
    for (const [at, count] of counts.entries())
      // By its end, a bucket lies in the windows as a sample of that time does.
      if (count > 0) writer.add((timesMs[at] ?? 0) + query.stepMs, values[at] ?? 0, count);
  }
}

async function evaluateNode(
  search: Search,
  plan: Plan,
  target: Target,
): Promise<readonly EvaluatedSeries[]> {
  const { steps, window, bucketMs } = plan;
  const writers: Writers = new Map(
    target.series.map(({ key }) => [
      key,
      window === null ? newestWriter(steps) : windowWriter(steps, window),
    ]),
  );
  const selectors = target.series.map(({ key }) => parseSelector(key));
  const intervalMs = search.view.collectionIntervalMs();
  for (const piece of pieces(plan, target.series.length, intervalMs)) {
    search.cost.checkTime();
    const query = { node: target.node, selectors, ...piece };
    if (window === null || bucketMs === null) await readSamples(search, query, writers);
    else await readParts(search, { ...query, stepMs: bucketMs }, writers, window.overTime);
  }
  return target.series.flatMap(({ key, labels }) => {
    const values = writers.get(key)?.finish();
    if (values === undefined || values.every(Number.isNaN)) return [];
    const { __name__: name = "", ...others } = labels;
    return [{ labels: window === null ? { __name__: name, ...others } : others, values }];
  });
}

/**
 * Answers a question for series at some times. Nodes are read side by side and one failing fails all: an answer is
 * whole. Throws LIMIT_EXCEEDED, DEADLINE_EXCEEDED, and what the store throws.
 */
export async function evaluate(
  search: Search,
  { matchers, window }: SeriesExpression,
  asked: Steps,
): Promise<Evaluated> {
  const plan = planOf(search, window, asked);
  const { targets, warnings } = await findSeries(search, [matchers], plan.span);
  refuseTooMuch(search, plan, targets);
  const found = await mapParallel(targets, nodesAtOnce, (target) =>
    evaluateNode(search, plan, target),
  );
  return { series: found.flat(), warnings };
}
