import type { Clock, Log } from "../../src/core/ports.ts";
import type { IndexDefinition, Row, SeriesKey } from "../../src/core/series.ts";
import type { Backend, SeriesData, SeriesStore } from "../../src/store/contract.ts";
import { createSeriesStore } from "../../src/store/series.ts";
import { recordLog } from "./log.ts";

export const definitions: readonly IndexDefinition[] = [
  { name: "cpu", unit: "%", decimals: 1, labels: [], help: "" },
  { name: "memory", unit: "%", decimals: 1, labels: [], help: "" },
  { name: "disk", unit: "%", decimals: 1, labels: ["mount"], help: "" },
  { name: "net_receive", unit: "B/s", decimals: 0, labels: ["interface"], help: "" },
];

/** A row of some series. */
export function row(slotMs: number, values: Record<SeriesKey, number | null>): Row {
  return { slotMs, values: new Map(Object.entries(values)) };
}

/** A row with ten further series, so that it is kept in blocks of ten minutes. */
export function wideRow(slotMs: number, values: Record<SeriesKey, number | null>): Row {
  const others = Array.from({ length: 10 }, (_, n): [SeriesKey, number] => [`other{n="${n}"}`, n]);
  return row(slotMs, { ...values, ...Object.fromEntries(others) });
}

/** When tick 0 is: a day from now on, so that Redis, which goes by its own clock, keeps what is written. */
export const tickStartMs = Math.ceil(Date.now() / 86_400_000) * 86_400_000;
export const tickStepMs = 10_000;

/** The value of a series at a tick: any other would be a wrong one. */
export function tickValue(tick: number, series: number): number {
  return Math.round(500 + 300 * Math.sin(tick / 40 + series) + ((tick * 7 + series * 13) % 11));
}

/** The row of a tick: twelve series. */
export function tickRow(tick: number): Row {
  const values = Array.from({ length: 12 }, (_, series): [SeriesKey, number] => [
    `net_receive{interface="eth${series}"}`,
    tickValue(tick, series),
  ]);
  return row(tickStartMs + tick * tickStepMs, Object.fromEntries(values));
}

/** Which of some ticks are missing, wrong or there twice, by what anybody reads of a node. */
export async function faultsOfTicks(
  store: SeriesStore,
  node: string,
  ticks: readonly number[],
): Promise<string[]> {
  const last = Math.max(...ticks);
  const { timesMs, columns } = await store.read({
    node,
    selectors: [{ index: "net_receive", labels: "*" }],
    fromMs: tickStartMs,
    toMs: tickStartMs + last * tickStepMs,
  });
  const places = new Map(Array.from(timesMs, (timeMs, at) => [timeMs, at]));
  const twice = places.size === timesMs.length ? [] : ["a slot is there twice"];
  const wrong = ticks.flatMap((tick) => {
    const at = places.get(tickStartMs + tick * tickStepMs);
    if (at === undefined) return [`tick ${tick} is missing`];
    return Array.from({ length: 12 }, (_, series) => series)
      .filter((series) => {
        const column = columns.get(`net_receive{interface="eth${series}"}`);
        return column?.[at] !== tickValue(tick, series);
      })
      .map((series) => `tick ${tick} of series ${series} is wrong`);
  });
  return [...twice, ...wrong];
}

/** What was read, as rows that are easy to compare. */
export function rowsOf(data: SeriesData): [number, Record<string, number | null>][] {
  return Array.from(data.timesMs, (timeMs, index) => [
    timeMs,
    Object.fromEntries([...data.columns].map(([key, values]) => [key, values[index] ?? null])),
  ]);
}

/** A series store of a node over a backend. */
export function seriesStore(
  backend: Backend,
  clock: Clock,
  options: {
    definitions?: readonly IndexDefinition[];
    node?: string;
    log?: Log;
    stepMs?: () => number;
    retentionDays?: () => number;
    /** Where the backlog is kept on disk. */
    dir?: string;
    maxBytes?: number;
    tierRetentionDays?: () => number;
  } = {},
): SeriesStore {
  return createSeriesStore({
    backend,
    node: options.node ?? "prod/node-1",
    clock,
    log: options.log ?? recordLog().log,
    definitions: () => options.definitions ?? definitions,
    retentionDays: options.retentionDays ?? (() => 7),
    tierRetentionDays: options.tierRetentionDays ?? (() => 30),
    stepMs: options.stepMs ?? (() => 10_000),
    backlog:
      options.dir === undefined
        ? null
        : { dir: options.dir, name: "backlog", maxBytes: options.maxBytes ?? 64 * 2 ** 20 },
  });
}
