import type { Clock, Log } from "../core/ports.ts";
import { type IndexDefinition, type Reading, type Row, seriesKey } from "../core/series.ts";
import { createAdmission } from "./admission.ts";
import type { AnyCollector, CollectorStatus, Family, Host } from "./contract.ts";
import { createRun } from "./run.ts";

/** All collectors of a node at work. */
export interface Collection {
  /** One look by every enabled collector, as the row of a slot; values have the decimals of their index. */
  collect(slotMs: number): Promise<Row>;
  /** A fresh look for /metrics; a failing collector costs only its own families. */
  families(): Promise<readonly Family[]>;
  /** How the last look of every enabled collector went; one that never ran is missing. */
  status(): readonly CollectorStatus[];
  /** The indexes of all collectors, disabled ones too: what they stored can still be asked for. */
  definitions(): readonly IndexDefinition[];
  /** Switches collectors by name; one that is not named is as its author meant it. */
  configure(enabled: Readonly<Record<string, boolean>>): void;
  /** Series the last row had to leave out. */
  refusedSeries(): number;
}

export interface CollectionDeps {
  readonly host: Host;
  readonly collectors: readonly AnyCollector[];
  readonly clock: Clock;
  readonly log: Log;
}

function rounded(value: number | null, decimals: number): number | null {
  if (value === null || !Number.isFinite(value)) return null;
  const factor = 10 ** decimals;
  // Adding 0 turns -0 into 0.
  return Math.round(value * factor) / factor + 0;
}

/** Puts collectors to work on a host. */
export function createCollection({ host, collectors, clock, log }: CollectionDeps): Collection {
  const runs = collectors.map((collector) => createRun(collector, { host, clock, log }));
  const definitions = collectors.flatMap(({ indexes }) => indexes);
  const decimals = new Map(definitions.map((index) => [index.name, index.decimals]));
  const admission = createAdmission(log);
  let choice: Readonly<Record<string, boolean>> = {};

  const enabledRuns = (): typeof runs =>
    runs.filter(({ collector: { name, defaultOn } }) => choice[name] ?? defaultOn);
  const entry = ({ index, labels, value }: Reading): [string, number | null] => [
    seriesKey(index, labels),
    rounded(value, decimals.get(index) ?? 0),
  ];

  return {
    collect: async (slotMs) => {
      const readings = await Promise.all(enabledRuns().map((run) => run.readings()));
      return { slotMs, values: admission.admit(new Map(readings.flat().map(entry))) };
    },
    families: async () => (await Promise.all(enabledRuns().map((run) => run.families()))).flat(),
    status: () => enabledRuns().flatMap((run) => run.status() ?? []),
    definitions: () => definitions,
    configure: (enabled) => {
      choice = enabled;
      const kept = new Set(enabledRuns());
      for (const run of runs) if (!kept.has(run)) run.forget();
    },
    refusedSeries: () => admission.refused(),
  };
}
