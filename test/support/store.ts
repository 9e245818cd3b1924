import type { Log } from "../../src/core/ports.ts";
import type { IndexDefinition, Row, SeriesKey } from "../../src/core/series.ts";
import type { Backend, SeriesData, SeriesStore } from "../../src/store/contract.ts";
import { createSeriesStore } from "../../src/store/series.ts";
import type { ManualClock } from "./clock.ts";
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

/** What was read, as rows that are easy to compare. */
export function rowsOf(data: SeriesData): [number, Record<string, number | null>][] {
  return data.timesMs.map((timeMs, index) => [
    timeMs,
    Object.fromEntries([...data.columns].map(([key, values]) => [key, values[index] ?? null])),
  ]);
}

/** A series store of a node over a backend. */
export function seriesStore(
  backend: Backend,
  clock: ManualClock,
  options: {
    definitions?: readonly IndexDefinition[];
    node?: string;
    log?: Log;
    stepMs?: () => number;
    retentionDays?: () => number;
  } = {},
): SeriesStore {
  return createSeriesStore({
    backend,
    node: options.node ?? "prod/node-1",
    clock,
    log: options.log ?? recordLog().log,
    definitions: () => options.definitions ?? definitions,
    retentionDays: options.retentionDays ?? (() => 7),
    stepMs: options.stepMs ?? (() => 10_000),
  });
}
