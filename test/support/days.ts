import fc from "fast-check";
import { parseSelector, type SeriesKey, type SeriesSelector } from "../../src/core/series.ts";
import type { Backend, BucketData, SeriesData, SeriesStore } from "../../src/store/contract.ts";
import type { ManualClock } from "./clock.ts";
import { definitions, row, seriesStore } from "./store.ts";

const dayMs = 86_400_000;

/** Series of the tests' days. */
export const dayKeys: readonly SeriesKey[] = [
  "cpu",
  "memory",
  'disk{mount="/"}',
  'disk{mount="/data"}',
  "net_receive",
  "odd",
];

export const everything: readonly SeriesSelector[] = dayKeys.map(parseSelector);
export const starred: readonly SeriesSelector[] = [
  "cpu",
  "memory",
  "disk{*}",
  "net_receive",
  "odd",
].map(parseSelector);

/** Some rows that follow each other at one interval. */
export interface Stretch {
  readonly stepMs: number;
  /** Steps left out before it. */
  readonly gap: number;
  readonly rows: readonly Readonly<Record<SeriesKey, number | null>>[];
  /** Whether another process goes on after it. */
  readonly restart: boolean;
}

const value = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -1_000, max: 1_000 }) },
  { weight: 2, arbitrary: fc.double({ min: 0, max: 100, noNaN: true }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 10 ** 12 }) },
  { weight: 1, arbitrary: fc.constant(null) },
);

/** Any day: intervals that change, rows and values that are missing, series that come and go. */
export const anyDay: fc.Arbitrary<readonly Stretch[]> = fc.array(
  fc.record({
    stepMs: fc.constantFrom(1_000, 7_000, 10_000, 10_000, 30_000, 60_000, 300_000),
    gap: fc.nat(60),
    rows: fc.array(fc.dictionary(fc.constantFrom(...dayKeys), value, { maxKeys: 5 }), {
      maxLength: 40,
    }),
    restart: fc.boolean(),
  }),
  { maxLength: 8 },
);

/** Writes a day as a node does, one process after the other, and lets it get over. */
export async function writeDay(
  backend: Backend,
  clock: ManualClock,
  stretches: readonly Stretch[],
): Promise<SeriesStore> {
  let stepMs = 10_000;
  const open = (): SeriesStore => seriesStore(backend, clock, { stepMs: () => stepMs });
  const endMs = (Math.floor(clock.now() / dayMs) + 1) * dayMs;
  let store = open();
  for (const { stepMs: step, gap, rows, restart } of stretches) {
    stepMs = step;
    await clock.advance(gap * step);
    for (const values of rows) {
      await clock.advance(step - (clock.now() % step));
      if (clock.now() >= endMs) break;
      store.append(row(clock.now(), values));
    }
    await store.flush();
    if (restart) store = open();
  }
  if (clock.now() < endMs) await clock.advance(endMs - clock.now());
  // Once more, after the last block was left to settle.
  await clock.advance(3_600_000);
  await store.flush();
  await store.flush();
  return store;
}

/** Calls `keep` for some quarters of an hour: a new store looks at closed days within three, any within 25. */
export async function keepAll(
  store: SeriesStore,
  clock: ManualClock,
  quarters = 30,
): Promise<void> {
  for (let quarter = 0; quarter < quarters; quarter++) {
    await store.keep();
    await clock.advance(900_000);
  }
}

/** Buckets of samples, summed as the integers they are kept as. */
export function exactBuckets({ timesMs, columns }: SeriesData, stepMs: number): BucketData {
  const begins = [...new Set(timesMs.map((timeMs) => Math.floor(timeMs / stepMs) * stepMs))];
  const places = timesMs.map((timeMs) => begins.indexOf(Math.floor(timeMs / stepMs) * stepMs));
  const of = (key: SeriesKey, values: readonly (number | null)[]) => {
    const decimals = definitions.find(({ name }) => name === key.split("{")[0])?.decimals ?? 2;
    const lists: number[][] = begins.map(() => []);
    for (const [at, one] of values.entries())
      if (one !== null) lists[places[at] ?? 0]?.push(Math.round(one * 10 ** decimals));
    return {
      counts: lists.map((list) => list.length),
      sums: lists.map((list) => list.reduce((sum, one) => sum + one, 0) / 10 ** decimals),
      mins: lists.map((list) => (list.length === 0 ? null : Math.min(...list) / 10 ** decimals)),
      maxs: lists.map((list) => (list.length === 0 ? null : Math.max(...list) / 10 ** decimals)),
    };
  };
  return {
    timesMs: begins,
    columns: new Map([...columns].map(([key, values]) => [key, of(key, values)])),
  };
}
