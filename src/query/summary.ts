import { aggregates, type Aggregate, type SeriesKey } from "../core/series.ts";
import type { SeriesTable } from "./answer.ts";
import type { AgentClient, SeriesAsk } from "./client.ts";
import { Course } from "./course.ts";
import type { AskedNode } from "./nodes.ts";
import { Tally } from "../base/tally.ts";

/** What a series had in all of a span. */
export interface Summary {
  /** The node as it is shown. */
  readonly node: string;
  readonly key: SeriesKey;
  /** Null: there was no value. */
  readonly values: Readonly<Record<Aggregate, number | null>>;
  /** What became of each step of the drawing, oldest first; empty without a drawing. */
  readonly course: readonly (number | null)[];
}

/** Chooses the step of the drawing when the series are known; null: nothing is drawn. */
export type ChooseStep = (keys: readonly SeriesKey[]) => number | null;

/** One series being read. */
class Reading {
  readonly tally = new Tally();
  readonly course: Course | null;

  constructor(ask: Omit<SeriesAsk, "node">, stepMs: number | null) {
    this.course = stepMs === null ? null : new Course(ask, stepMs);
  }

  add(timeMs: number, text: string): void {
    if (text === "") return;
    this.tally.add(Number(text));
    this.course?.add(timeMs, Number(text));
  }
}
type Readings = ReadonlyMap<SeriesKey, Reading>;

async function readAll(
  { keys, rows }: SeriesTable,
  create: (stepKeys: readonly SeriesKey[]) => Reading,
): Promise<Readings> {
  const readings = keys.map((key) => [key, create(keys)] as const);
  for await (const part of rows)
    for (const { time, values } of part)
      for (const [at, [, reading]] of readings.entries())
        reading.add(Number(time) * 1_000, values[at] ?? "");
  return new Map(readings);
}

/**
 * Reads the series of one node to their sum. Without a step, every sample is read and the average is exact; with one,
 * each value comes from the steps of its own kind, so that a greatest value is never that of averages.
 */
export async function summarise(
  client: AgentClient,
  { label, node }: AskedNode,
  ask: Omit<SeriesAsk, "node">,
  chooseStep: ChooseStep,
): Promise<readonly Summary[]> {
  const kinds = ask.stepMs === null ? [ask.aggregate] : aggregates;
  const byKind = new Map<Aggregate, Readings>();
  for (const aggregate of kinds) {
    const table = await client.series({ ...ask, node, aggregate });
    byKind.set(aggregate, await readAll(table, (keys) => new Reading(ask, chooseStep(keys))));
  }
  const valueOf = (key: SeriesKey, aggregate: Aggregate): number | null => {
    const kind = ask.stepMs === null ? ask.aggregate : aggregate;
    return byKind.get(kind)?.get(key)?.tally.of(aggregate) ?? null;
  };
  return [...(byKind.get(ask.aggregate) ?? [])].map(([key, { course }]) => ({
    node: label,
    key,
    values: {
      avg: valueOf(key, "avg"),
      min: valueOf(key, "min"),
      max: valueOf(key, "max"),
      last: valueOf(key, "last"),
    },
    course: course?.values(ask.aggregate) ?? [],
  }));
}
