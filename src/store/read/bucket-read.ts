import { AgentError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { Buckets } from "./bucket-table.ts";
import type { BucketData, BucketQuery } from "../contract.ts";
import { type Asked, askedFor } from "./day-read.ts";
import type { DaysReader } from "./samples.ts";
import { dayMs, dayOf, spansIn } from "../slots.ts";
import { pointMs, pointsPerDay } from "../format/tier-codec.ts";
import { type PointRange, pointsOf, pointStartMs } from "../keep/tier-points.ts";
import type { StoredTier, TierReader } from "./tier-read.ts";

/** No tier is kept for longer than 400 days. */
const longestMs = 402 * dayMs;

/** Days of the tier that are read in one round trip. */
const daysAtOnce = 32;

interface BucketReadDeps {
  readonly node: string;
  readonly clock: Clock;
  readonly days: DaysReader;
  readonly tier: TierReader;
}

/** The part of each day that lies in a span. */
function rangesOf(firstMs: number, endMs: number): readonly PointRange[] {
  return spansIn(firstMs, endMs - 1, dayMs).map(({ startMs }) => ({
    day: dayOf(startMs),
    begin: Math.max(0, (firstMs - startMs) / pointMs),
    end: Math.min(pointsPerDay, (endMs - startMs) / pointMs),
  }));
}

/** Stretches of whole points that follow each other without a gap, as one. */
function spansOf(ranges: readonly PointRange[]): { fromMs: number; toMs: number }[] {
  const spans: { fromMs: number; toMs: number }[] = [];
  for (const { day, begin, end } of ranges) {
    const [fromMs, toMs] = [pointStartMs(day, begin), pointStartMs(day, end) - 1];
    const last = spans.at(-1);
    if (last?.toMs === fromMs - 1) last.toMs = toMs;
    else spans.push({ fromMs, toMs });
  }
  return spans;
}

/** Moves the ends of a question to multiples of its step, and to where something may be. */
function wholeBuckets({ fromMs, toMs, stepMs }: BucketQuery, nowMs: number): [number, number] {
  const from = Math.max(fromMs, nowMs - longestMs);
  const to = Math.min(toMs, nowMs + dayMs);
  return [Math.floor(from / stepMs) * stepMs, (Math.floor(to / stepMs) + 1) * stepMs];
}

/** Brings points of days into buckets: from the tier what it covers, the rest from the samples. */
function createGather({ node, days, tier: readTier }: BucketReadDeps) {
  const tiersOf = async (
    ranges: readonly PointRange[],
    asked: Asked,
  ): Promise<readonly (StoredTier | null)[]> => {
    try {
      return await readTier(
        ranges.map(({ day }) => day),
        asked,
      );
    } catch (cause) {
      const isAway = cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE";
      // Memory has to do for the own node while the backend is away.
      if (isAway && asked.node === node) return [];
      throw cause;
    }
  };
  const addSamples = async (
    buckets: Buckets,
    left: readonly PointRange[],
    asked: Asked,
  ): Promise<void> => {
    const byDay = new Map(left.map((range) => [range.day, range]));
    for (const span of spansOf(left))
      for await (const { day, readings } of days({ asked, ...span })) {
        const range = byDay.get(day);
        if (range !== undefined) buckets.add(pointsOf(readings, range), range);
      }
  };
  return async (buckets: Buckets, ranges: readonly PointRange[], asked: Asked): Promise<void> => {
    const tiers = await tiersOf(ranges, asked);
    const left: PointRange[] = [];
    for (const [index, range] of ranges.entries()) {
      const tier = tiers[index] ?? null;
      const end = Math.min(range.end, Math.max(range.begin, tier?.coverage.points ?? 0));
      if (tier !== null) buckets.add(tier, { ...range, end });
      if (end < range.end) left.push({ ...range, begin: end });
    }
    await addSamples(buckets, left, asked);
  };
}

/**
 * Answers a question for buckets, in five minutes at a time, so that the answer is the same from the tier and from the
 * samples.
 */
export function createBucketReader(
  deps: BucketReadDeps,
): (query: BucketQuery) => Promise<BucketData> {
  const gather = createGather(deps);
  return async (query) => {
    const { stepMs } = query;
    const [firstMs, endMs] = wholeBuckets(query, deps.clock.now());
    if (endMs <= firstMs) return { timesMs: [], columns: new Map() };
    const asked = askedFor(query.node, query.selectors);
    const buckets = new Buckets(firstMs, endMs, stepMs);
    const ranges = rangesOf(firstMs, endMs);
    for (let first = 0; first < ranges.length; first += daysAtOnce)
      await gather(buckets, ranges.slice(first, first + daysAtOnce), asked);
    return buckets.data();
  };
}
