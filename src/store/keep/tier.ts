import type { Clock } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import { askedForAll } from "../read/day-read.ts";
import { type Head, type Held, isDirty } from "../write/head.ts";
import { createPoints } from "../format/points.ts";
import type { DaysReader } from "../read/samples.ts";
import { createRefusals } from "./refusals.ts";
import { isSeries } from "../read/series-keys.ts";
import { blockMs, dayMs, dayOf } from "../slots.ts";
import { createRetention } from "../retention.ts";
import { placeInFleet } from "../spread.ts";
import {
  type Coverage,
  coveredName,
  encodeCoverage,
  encodeTier,
  pointMs,
  pointsPerDay,
  tierQuality,
  tierVersion,
} from "../format/tier-codec.ts";
import {
  type DayPoints,
  noPoints,
  type PointRange,
  pointsOf,
  pointStartMs,
  spliced,
} from "./tier-points.ts";
import { decodeStored, type StoredTier, type TierReader } from "../read/tier-read.ts";

/** A closed block is sent once more after so long; only then it is certain to be stored. */
const settleMs = blockMs / 4;

/** Nodes of a fleet write their tiers at moments of their own, within so long. */
const spreadMs = blockMs / 2;

/** The tier grows by so much at a time; what is newer is read from blocks. */
const growthMs = 2 * blockMs;

export interface TierWriterDeps {
  readonly backend: Backend;
  readonly node: string;
  readonly clock: Clock;
  readonly head: Head;
  readonly days: DaysReader;
  readonly tier: TierReader;
  readonly retentionDays: () => number;
  /** Unix seconds. */
  readonly expireAt: (day: number) => number;
}

/** Keeps the tier of this node's days. */
export interface TierWriter {
  /** Aggregates what was closed since the last time, and what has changed. Rejects with STORE_UNAVAILABLE. */
  advance(): Promise<void>;
  /** Writes the tier of a whole day, which was made of a revision of its columns. */
  writeDay(day: number, revision: number, points: DayPoints): Promise<void>;
}

/** Points that are aggregated at a time, so that a day of a second's steps does not stand in memory. */
const pointsAtOnce = 24;

type Values = Map<string, Uint8Array>;

/** The values of a day's tier. */
async function valuesOf(
  { columns, present }: DayPoints,
  { revision, points }: Omit<Coverage, "present">,
  quality: number,
): Promise<Values> {
  const values: Values = new Map();
  for (const [key, column] of columns) values.set(key, await encodeTier(column, quality));
  return values.set(coveredName, encodeCoverage({ revision, points, present }));
}

/** Aggregates the samples of a part of a day. */
function createAggregate({ node, days }: TierWriterDeps) {
  return async (before: DayPoints | null, range: PointRange): Promise<DayPoints> => {
    const asked = askedForAll(node);
    let points = spliced(before, noPoints, { ...range, end: range.begin });
    for (let { begin } = range; begin < range.end; begin += pointsAtOnce) {
      const part = { ...range, begin, end: Math.min(range.end, begin + pointsAtOnce) };
      const fromMs = pointStartMs(range.day, part.begin);
      const toMs = pointStartMs(range.day, part.end) - 1;
      for await (const { readings } of days({ asked, fromMs, toMs }))
        points = spliced(points, pointsOf(readings, part), part);
    }
    return points;
  };
}

/** Whether a day has a tier of a newer agent, which is left alone. */
async function isNewer({ backend, node }: TierWriterDeps, day: number): Promise<boolean> {
  const [values] = await backend.read(node, [{ part: "tier", day, names: [coveredName] }]);
  return (values?.[0]?.[0] ?? 0) > tierVersion;
}

/** What was written of a day's tier, and when it was begun to be written. */
interface Written {
  readonly day: number;
  readonly epoch: number;
  readonly values: Values;
}

/** Knows what was written last, so that it need not be read to be gone on with; Redis may have lost it meanwhile. */
function createLastWritten({ backend }: TierWriterDeps) {
  let last: Written | null = null;
  return {
    of: (day: number): StoredTier | null => {
      if (last?.day !== day || last.epoch !== backend.epoch()) return null;
      const { values } = last;
      const names = [coveredName, ...[...values.keys()].filter(isSeries)];
      return decodeStored(
        names,
        names.map((name) => values.get(name) ?? null),
      );
    },
    note: (written: Written): void => {
      last = written;
    },
    forget: (day: number): void => {
      if (last?.day === day) last = null;
    },
  };
}
type LastWritten = ReturnType<typeof createLastWritten>;

/** Brings the tier of a day up to a point, again from where its samples have changed. */
function createUpdate(deps: TierWriterDeps, lastWritten: LastWritten) {
  const { backend, node, tier, expireAt } = deps;
  const aggregate = createAggregate(deps);
  const storedTier = async (day: number): Promise<StoredTier | null> =>
    (await tier([day], askedForAll(node)))[0] ?? null;
  return async ({ day, begin, end }: PointRange): Promise<void> => {
    const stored = lastWritten.of(day) ?? (await storedTier(day));
    if (stored === null && (await isNewer(deps, day))) return;
    const { points: covered, revision } = stored?.coverage ?? { points: 0, revision: 0 };
    const from = Math.min(begin, covered);
    if (from >= end) return;
    const points = await aggregate(stored, { day, begin: from, end });
    const values = await valuesOf(points, { revision, points: end }, tierQuality.open);
    const epoch = backend.epoch();
    await backend.writeTier(node, day, values, expireAt(day));
    lastWritten.note({ day, epoch, values });
  };
}

/** What is to be aggregated: closed blocks in memory that have changed since, and everything up to a time. */
function createPlan({ head }: TierWriterDeps) {
  const seen = new WeakMap<Held, number>();
  const changed = (endMs: number): readonly Held[] =>
    head
      .all()
      .filter((held) => held.startMs + held.lengthMs <= endMs && seen.get(held) !== held.changes);
  return (endMs: number): { readonly ranges: readonly PointRange[]; done: () => void } => {
    const held = changed(endMs).map((one) => ({ one, changes: one.changes }));
    const begins = new Map<number, number>();
    for (const { one } of held) {
      const day = dayOf(one.startMs);
      const point = (one.startMs - day * dayMs) / pointMs;
      begins.set(day, Math.min(point, begins.get(day) ?? pointsPerDay));
    }
    const last = dayOf(endMs - 1);
    if (!begins.has(last)) begins.set(last, pointsPerDay);
    const endOf = (day: number): number => Math.min(pointsPerDay, (endMs - day * dayMs) / pointMs);
    return {
      ranges: [...begins].map(([day, begin]) => ({ day, begin, end: endOf(day) })),
      done: () => {
        for (const { one, changes } of held) seen.set(one, changes);
      },
    };
  };
}

export function createTierWriter(deps: TierWriterDeps): TierWriter {
  const { backend, node, clock, head, expireAt } = deps;
  const lastWritten = createLastWritten(deps);
  const update = createUpdate(deps, lastWritten);
  const plan = createPlan(deps);
  const applyRetention = createRetention(deps, "tier");
  const lagMs = settleMs + placeInFleet(node) * spreadMs;
  let last = { endMs: 0, epoch: -1 };
  /** Until when everything is closed and stored. */
  const settledMs = (): number => {
    const oldest = head.all().find(isDirty)?.startMs ?? Number.POSITIVE_INFINITY;
    return Math.floor(Math.min(clock.now() - lagMs, oldest) / growthMs) * growthMs;
  };
  return {
    advance: async () => {
      await applyRetention();
      const [endMs, epoch] = [settledMs(), backend.epoch()];
      const { ranges, done } = plan(endMs);
      const isDone = endMs === last.endMs && epoch === last.epoch;
      if (isDone && ranges.every(({ begin }) => begin === pointsPerDay)) return;
      const refusals = createRefusals(backend);
      for (const range of ranges) await refusals.attempt(() => update(range));
      refusals.rethrow();
      done();
      last = { endMs, epoch };
    },
    writeDay: async (day, revision, points) => {
      if (await isNewer(deps, day)) return;
      const names = await backend.names(node, day, "tier");
      const columns = new Map(points.columns);
      // What the day no longer has must not be left as it was.
      for (const name of names.filter(isSeries))
        if (!columns.has(name))
          columns.set(name, { decimals: 0, points: createPoints(pointsPerDay) });
      const coverage = { revision, points: pointsPerDay };
      const values = await valuesOf({ ...points, columns }, coverage, tierQuality.closed);
      lastWritten.forget(day);
      await backend.writeTier(node, day, values, expireAt(day));
    },
  };
}
