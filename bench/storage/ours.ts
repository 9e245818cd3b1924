import type { Clock, Log } from "../../src/core/ports.ts";
import type { Row } from "../../src/core/series.ts";
import type { Backend, DayPart, SeriesStore } from "../../src/store/contract.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { createKeys } from "../../src/store/redis/keys.ts";
import { blockMs, dayMs, dayOf } from "../../src/store/slots.ts";
import { eventually } from "../../test/support/clock.ts";
import { seriesStore } from "../../test/support/store.ts";
import { meterTicks, type TickCost } from "./meter.ts";
import type { Server } from "./server.ts";
import { rowsADay } from "./fleet.ts";
import { fleetSeries } from "./fleet-series.ts";
import { nodeOf, rowAt, stepMs, type Week } from "./week.ts";

/** Ticks between two heartbeats, as the agent has them: three minutes. */
export const ticksAHeartbeat = 18;

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
  const settings = server.redis.settings({ prefix });
  const backend = createRedisBackend(settings, { clock, log: loud, retentionDays: () => 7 });
  backend.start();
  await eventually("the store is connected", () => backend.status().status === "ok");
  const series = seriesStore(backend, clock, { node, log: loud, definitions: fleetSeries });
  return { backend, series, close: () => backend.stop() };
}

/** A store that lives with its node. */
interface Life {
  readonly clock: SetClock;
  readonly store: OpenStore;
  /** One tick of the agent, heartbeats too. */
  readonly tick: (row: Row, at: number) => Promise<void>;
  /** Sends what is left, and ends. Throws when something could not be sent. */
  readonly end: () => Promise<void>;
}

async function begin({ server, prefix, week }: NodePlace, startMs: number): Promise<Life> {
  const node = nodeOf(week);
  const [cluster = "", name = ""] = node.split("/");
  const clock = new SetClock(startMs);
  const store = await openStore({ server, prefix, node, clock });
  const { backend, series } = store;
  return {
    clock,
    store,
    tick: async (row, at) => {
      clock.set(row.slotMs);
      series.append(row);
      await series.flush();
      const lastSeenMs = row.slotMs;
      if (at % ticksAHeartbeat === 0)
        await backend.heartbeat({ cluster, name, ip: "192.0.2.1", version: "", lastSeenMs });
    },
    end: async () => {
      // The last block is sent once more.
      clock.set(clock.now() + blockMs);
      await series.flush();
      const { dirtyBlocks } = series.counters();
      await store.close();
      if (dirtyBlocks > 0) throw new Error(`${dirtyBlocks} blocks of ${node} were not sent`);
    },
  };
}

/** A node with its week, and where that goes. */
export interface NodePlace {
  readonly server: Server;
  readonly prefix: string;
  readonly week: Week;
}

/**
 * Lets an agent write through a week; closed days are left as they were written. The last day goes tick by tick, and is
 * metered; before it the agent sends each block once, which leaves the same there in a seventh of the time.
 */
export async function liveWeek(place: NodePlace): Promise<TickCost> {
  const { server, week } = place;
  const { clock, store, tick, end } = await begin(place, week.startMs);
  const from = Math.max(0, week.rows - rowsADay);
  for (let at = 0; at < from; at++) {
    const row = rowAt(week, at);
    clock.set(row.slotMs);
    store.series.append(row);
    if ((row.slotMs + stepMs) % blockMs === 0) await store.series.flush();
  }
  const cost = await meterTicks(server, week, { from, count: week.rows - from }, tick);
  await end();
  return cost;
}

/** When the days of a week are closed for long: the noon after it. */
const laterMs = dayMs / 2;
/** Far more often than it has to be asked. */
const mostKeeps = 1_000;

/** Has the days of a week made into columns, and their tier made; the CPU a day, milliseconds. */
export async function closeDays(place: NodePlace): Promise<number> {
  const { week } = place;
  const { clock, store } = await begin(place, week.endMs + laterMs);
  const days = (week.endMs - week.startMs) / dayMs;
  const begun = process.cpuUsage();
  for (let keeps = 0; store.series.counters().compactedDays < days; keeps++) {
    if (keeps > mostKeeps) throw new Error(`days of ${nodeOf(week)} were not compacted`);
    clock.set(clock.now() + (await store.series.keep()));
  }
  const { user, system } = process.cpuUsage(begun);
  await store.close();
  return (user + system) / 1e3 / days;
}

/** A day, so that everything which is done once a day is in it. */
const livedTicks = rowsADay;
/** Ticks between two times that a store is asked whether something is to be done. */
const ticksAKeep = 3;

/** Lets an agent live on after its week as it really does, the care for closed blocks and days too. */
export async function liveOn(place: NodePlace): Promise<TickCost> {
  const { server, week } = place;
  const life = await begin(place, week.endMs + laterMs);
  const from = week.rows + laterMs / stepMs;
  await life.store.series.keep();
  const cost = await meterTicks(server, week, { from, count: livedTicks }, async (row, at) => {
    await life.tick(row, at);
    if (at % ticksAKeep === 0) await life.store.series.keep();
  });
  await life.end();
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
