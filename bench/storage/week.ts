import type { IndexDefinition, Row } from "../../src/core/series.ts";
import { dayMs } from "../../src/store/slots.ts";
import { generate, type Kind, kinds, rowsADay } from "./fleet.ts";
import { fleetSeries, threeSeries } from "./fleet-series.ts";

/** Between two rows. */
export const stepMs = 10_000;

/** The one series that is read. */
export const readSeries = "cpu";

const seed = 7;

/** What one node of a kind measured, some whole days up to the last midnight, UTC. */
export interface Week {
  readonly kind: Kind;
  readonly series: readonly IndexDefinition[];
  /** A column a series, scaled integers. */
  readonly columns: readonly Float64Array[];
  readonly startMs: number;
  readonly endMs: number;
  readonly rows: number;
}

/** The week of each kind of node, 50 series each. */
export function createWeeks(days: number, nowMs: number): readonly Week[] {
  const endMs = Math.floor(nowMs / dayMs) * dayMs;
  const rows = days * rowsADay;
  return kinds.map((kind) => ({
    kind,
    series: fleetSeries,
    columns: generate(kind, seed, rows),
    startMs: endMs - days * dayMs,
    endMs,
    rows,
  }));
}

/** The same week with cpu, memory and disk only. */
export function withThreeSeries(week: Week): Week {
  const kept = week.series.flatMap(({ name }, index) => (threeSeries.has(name) ? [index] : []));
  return {
    ...week,
    series: week.series.filter((_, index) => kept.includes(index)),
    columns: week.columns.filter((_, index) => kept.includes(index)),
  };
}

/** The week that is read where one node is read: neither the quietest nor the busiest. */
export function readWeek(weeks: readonly Week[]): Week {
  const week = weeks.find(({ kind }) => kind === "web");
  if (week === undefined) throw new Error("no week of a web node");
  return week;
}

/** Values of some weeks. */
export function samplesOf(weeks: readonly Week[]): number {
  return weeks.reduce((sum, { rows, series }) => sum + rows * series.length, 0);
}

/** One row of a week; past its end it begins again. */
export function rowAt({ series, columns, startMs, rows }: Week, at: number): Row {
  const values = new Map<string, number>();
  for (const [index, { name, decimals }] of series.entries())
    values.set(name, (columns[index]?.[at % rows] ?? 0) / 10 ** decimals);
  return { slotMs: startMs + at * stepMs, values };
}

/** How the node of a week is called; copies of it have numbers. */
export function nodeOf({ kind }: Week, copy?: number): string {
  return copy === undefined ? `bench/${kind}` : `bench/${kind}-${copy}`;
}
