/** How big a run is; the defaults are what the documented figures were measured with. */
export interface Options {
  /** Whole days of samples a node has. */
  readonly days: number;
  /** Nodes of the fleet whose week is read. */
  readonly nodes: number;
  /** Nodes of the fleet whose last day is read through the tier. */
  readonly wideNodes: number;
  readonly agents: number;
  /** How long the agents write. */
  readonly agentSeconds: number;
}

function positive(name: string, otherwise: number): number {
  const text = process.env[name];
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new Error(`${name}: expected a whole number from 1, got ${JSON.stringify(text)}`);
  return value;
}

/** Reads `STORAGE_BENCH_DAYS`, `_NODES`, `_AGENTS` and `_SECONDS`. */
export function readOptions(): Options {
  const nodes = positive("STORAGE_BENCH_NODES", 100);
  return {
    days: positive("STORAGE_BENCH_DAYS", 7),
    nodes,
    wideNodes: nodes * 10,
    agents: positive("STORAGE_BENCH_AGENTS", 5_000),
    agentSeconds: positive("STORAGE_BENCH_SECONDS", 60),
  };
}
