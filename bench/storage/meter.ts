import type { Row } from "../../src/core/series.ts";
import type { Server } from "./server.ts";
import { rowAt, type Week } from "./week.ts";

/** What one tick costs. */
export interface TickCost {
  readonly commands: number;
  /** Bytes the server received. */
  readonly bytes: number;
  /** Inside commands. */
  readonly commandUs: number;
  /** CPU of the server's process. */
  readonly serverUs: number;
  /** CPU of the writer's process. */
  readonly agentUs: number;
}

/** Rows made ahead, so that making them is not counted. */
const batchRows = 60;

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The mean of what a tick of several nodes costs. */
export function meanCost(costs: readonly TickCost[]): TickCost {
  const of = (name: keyof TickCost): number => meanOf(costs.map((cost) => cost[name]));
  return {
    commands: of("commands"),
    bytes: of("bytes"),
    commandUs: of("commandUs"),
    serverUs: of("serverUs"),
    agentUs: of("agentUs"),
  };
}

/** Runs one tick after the other, as fast as they go, and says what one of them cost. */
export async function meterTicks(
  server: Server,
  week: Week,
  { from, count }: { readonly from: number; readonly count: number },
  tick: (row: Row, at: number) => Promise<void>,
): Promise<TickCost> {
  const before = await server.counters();
  let agentUs = 0;
  for (let first = from; first < from + count; first += batchRows) {
    const length = Math.min(batchRows, from + count - first);
    const rows = Array.from({ length }, (_, index) => rowAt(week, first + index));
    const begun = process.cpuUsage();
    for (const [index, row] of rows.entries()) await tick(row, first + index);
    const { user, system } = process.cpuUsage(begun);
    agentUs += user + system;
  }
  const after = await server.counters();
  return {
    commands: (after.commands - before.commands) / count,
    bytes: (after.receivedBytes - before.receivedBytes) / count,
    commandUs: (after.commandUs - before.commandUs) / count,
    serverUs: (after.cpuUs - before.cpuUs) / count,
    agentUs: agentUs / count,
  };
}

/** What a read costs: wall time, and CPU of the process that reads. */
export interface ReadCost {
  readonly ms: number;
  readonly cpuMs: number;
}

const mostRuns = 50;
const leastRuns = 2;
const patienceMs = 2_000;

/** The quickest of several runs: what else this machine has to do makes a run longer, and never shorter. */
export async function meterRead(read: () => Promise<unknown>): Promise<ReadCost> {
  const runs: ReadCost[] = [];
  const endMs = performance.now() + patienceMs;
  while (runs.length < leastRuns || (performance.now() < endMs && runs.length < mostRuns)) {
    const begun = process.cpuUsage();
    const startedMs = performance.now();
    await read();
    const ms = performance.now() - startedMs;
    const { user, system } = process.cpuUsage(begun);
    runs.push({ ms, cpuMs: (user + system) / 1e3 });
  }
  return {
    ms: Math.min(...runs.map(({ ms }) => ms)),
    cpuMs: Math.min(...runs.map(({ cpuMs }) => cpuMs)),
  };
}

/** A process that asks for many nodes asks for a few at a time: the answers must not all stand in memory. */
const atATime = 8;

/** Does something for each of many, some at a time. */
export async function eachOf<T>(
  all: readonly T[],
  work: (one: T) => Promise<unknown>,
): Promise<void> {
  const waiting = all.values();
  const lane = async (): Promise<void> => {
    for (const one of waiting) await work(one);
  };
  await Promise.all(Array.from({ length: atATime }, lane));
}
