import type { Clock, Log } from "../../src/core/ports.ts";
import type { IndexDefinition } from "../../src/core/series.ts";
import type { Backend, DayPart, SeriesStore } from "../../src/store/contract.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { createKeys } from "../../src/store/redis/keys.ts";
import { createSeriesStore } from "../../src/store/series.ts";
import { blockMs, dayMs, dayOf } from "../../src/store/slots.ts";
import { eventually } from "../../test/support/clock.ts";
import { meterTicks, type TickCost } from "./meter.ts";
import type { Server } from "./server.ts";
import { fleetSeries } from "./fleet-series.ts";
import { nodeOf, stepMs, type Week } from "./week.ts";

/** Ticks between two heartbeats, as the agent has them: two minutes. */
export const ticksAHeartbeat = 12;

/** A clock that the benchmark sets; nobody waits on it. */
export class SetClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  sleep(): Promise<void> {
    return Promise.resolve();
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }
}

/** The store of one agent, connected. */
export interface OpenStore {
  readonly backend: Backend;
  readonly series: SeriesStore;
  readonly close: () => Promise<void>;
}

export interface StorePlace {
  readonly server: Server;
  readonly prefix: string;
  /** `cluster/name`. */
  readonly node: string;
  readonly clock: Clock;
  readonly definitions?: readonly IndexDefinition[];
}

/** Warnings show that a figure is none. */
const loud: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: (event, fields) => console.warn(event, fields),
  error: (event, fields) => console.error(event, fields),
};

/** The agent's own store over the measured Redis. */
export async function openStore(place: StorePlace): Promise<OpenStore> {
  const { server, prefix, node, clock } = place;
  const retentionDays = (): number => 7;
  const settings = server.redis.settings({ prefix });
  const backend = createRedisBackend(settings, { clock, log: loud, retentionDays });
  backend.start();
  await eventually("the store is connected", () => backend.status().status === "ok");
  const series = createSeriesStore({
    backend,
    node,
    clock,
    log: loud,
    definitions: () => place.definitions ?? fleetSeries,
    retentionDays,
    stepMs: () => stepMs,
  });
  return { backend, series, close: () => backend.stop() };
}

/** Lets an agent live through a week, tick by tick. */
export async function liveWeek(server: Server, prefix: string, week: Week): Promise<TickCost> {
  const node = nodeOf(week);
  const clock = new SetClock(week.startMs);
  const { backend, series, close } = await openStore({ server, prefix, node, clock });
  const [cluster = "", name = ""] = node.split("/");
  const cost = await meterTicks(server, week, { from: 0, count: week.rows }, async (row, at) => {
    clock.set(row.slotMs);
    series.append(row);
    await series.flush();
    if (at % ticksAHeartbeat > 0) return;
    await backend.heartbeat({
      cluster,
      name,
      ip: "192.0.2.1",
      version: "",
      lastSeenMs: row.slotMs,
    });
  });
  // The last block is sent once more, and what is done with closed blocks is done.
  clock.set(week.endMs + blockMs);
  await series.flush();
  const { dirtyBlocks } = series.counters();
  await close();
  if (dirtyBlocks > 0) throw new Error(`${dirtyBlocks} blocks of ${node} were not sent`);
  return cost;
}

/** The keys of a part of a node's days. */
export function dayKeys(
  prefix: string,
  part: DayPart,
  node: string,
  week: Week,
): readonly string[] {
  const first = dayOf(week.startMs);
  const count = (week.endMs - week.startMs) / dayMs;
  return Array.from({ length: count }, (_, index) =>
    createKeys(prefix).day(part, node, first + index),
  );
}

export const dayParts = ["blocks", "columns", "tier"] as const satisfies readonly DayPart[];

/** Memory of the keys of a part of some nodes. */
export async function partBytes(
  { redis }: Server,
  prefix: string,
  part: DayPart,
  weeks: readonly Week[],
): Promise<number> {
  const keys = weeks.flatMap((week) => dayKeys(prefix, part, nodeOf(week), week));
  let bytes = 0;
  for (const key of keys) bytes += (await redis.client.memory("USAGE", key, "SAMPLES", 0)) ?? 0;
  return bytes;
}
