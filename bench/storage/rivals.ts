import type { Redis } from "ioredis";
import type { Row } from "../../src/core/series.ts";
import { dayMs } from "../../src/store/slots.ts";
import { rowAt, type Week } from "./week.ts";

type Command = readonly [name: string, ...args: readonly (string | number)[]];

/** Samples as every reader gives them. */
export interface Samples {
  readonly timesMs: readonly number[];
  readonly values: readonly number[];
}

/** What is asked for: one series of one node, both ends inclusive. */
export interface Question {
  readonly node: string;
  readonly series: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** Another way to keep the same samples in the same Redis. */
export interface Rival {
  readonly name: string;
  /** What it sends each tick. */
  commands(node: string, row: Row): readonly Command[];
  /** The same as so many ticks, in commands with many members where there are such; nothing has to go yet. */
  load(node: string, rows: readonly Row[]): readonly Command[];
  /** The key a series is read from, when the others need not be there for that. */
  readonly seriesKey: ((node: string, series: string) => string) | null;
  read(client: Redis, question: Question): Promise<Samples>;
}

const retentionMs = 7 * dayMs;
/** Rows sent at a time while loading. */
const loadedRows = 360;

function samplesFrom(found: readonly (readonly [timeMs: number, value: number])[]): Samples {
  return { timesMs: found.map(([timeMs]) => timeMs), values: found.map(([, value]) => value) };
}

/** A ZSET a series, JSON members, as the seed's design implies. */
const zsetOfSeries: Rival = {
  name: "ZSET a series",
  seriesKey: (node, series) => `zs:{${node}}:${series}`,
  commands: (node, { slotMs, values }) =>
    [...values].flatMap(([series, value]): Command[] => {
      const key = `zs:{${node}}:${series}`;
      return [
        ["zadd", key, slotMs, JSON.stringify({ timestamp: slotMs / 1_000, value })],
        ["zremrangebyscore", key, "-inf", slotMs - retentionMs],
        ["expire", key, retentionMs / 1_000],
      ];
    }),
  load: (node, rows) =>
    [...(rows[0]?.values.keys() ?? [])].map((series) => [
      "zadd",
      `zs:{${node}}:${series}`,
      ...rows.flatMap(({ slotMs, values }) => [
        slotMs,
        JSON.stringify({ timestamp: slotMs / 1_000, value: values.get(series) }),
      ]),
    ]),
  read: async (client, { node, series, fromMs, toMs }) => {
    const members = await client.zrangebyscore(`zs:{${node}}:${series}`, fromMs, toMs);
    return samplesFrom(
      members.map((member) => {
        const { timestamp, value } = JSON.parse(member) as { timestamp: number; value: number };
        return [timestamp * 1_000, value];
      }),
    );
  },
};

function jsonRow({ slotMs, values }: Row): string {
  return JSON.stringify({ timestamp: slotMs / 1_000, metrics: Object.fromEntries(values) });
}

/** A ZSET a node, JSON rows. */
const zsetOfNode: Rival = {
  name: "ZSET a node",
  seriesKey: null,
  commands: (node, row) => [
    ["zadd", `zn:{${node}}`, row.slotMs, jsonRow(row)],
    ["zremrangebyscore", `zn:{${node}}`, "-inf", row.slotMs - retentionMs],
    ["expire", `zn:{${node}}`, retentionMs / 1_000],
  ],
  load: (node, rows) => [
    ["zadd", `zn:{${node}}`, ...rows.flatMap((row) => [row.slotMs, jsonRow(row)])],
  ],
  read: async (client, { node, series, fromMs, toMs }) => {
    const members = await client.zrangebyscore(`zn:{${node}}`, fromMs, toMs);
    return samplesFrom(
      members.map((member) => {
        const row = JSON.parse(member) as { timestamp: number; metrics: Record<string, number> };
        return [row.timestamp * 1_000, row.metrics[series] ?? Number.NaN];
      }),
    );
  },
};

function streamEntry(node: string, { slotMs, values }: Row): Command {
  const fields = [...values].flatMap(([name, value]) => [name, value ?? ""]);
  return ["xadd", `st:{${node}}`, "MINID", "~", slotMs - retentionMs, `${slotMs}-0`, ...fields];
}

/** A stream a node, a field a series. */
const stream: Rival = {
  name: "stream",
  seriesKey: null,
  commands: (node, row) => [streamEntry(node, row)],
  load: (node, rows) => rows.map((row) => streamEntry(node, row)),
  read: async (client, { node, series, fromMs, toMs }) => {
    const entries = await client.xrange(`st:{${node}}`, fromMs, toMs);
    return samplesFrom(
      entries.map(([id, fields]) => [
        Number.parseInt(id, 10),
        Number(fields[fields.indexOf(series) + 1]),
      ]),
    );
  },
};

export const rivals = [zsetOfSeries, zsetOfNode, stream] as const;

/** Sends commands in one pipeline; throws what the first of them that failed says. */
export async function send(client: Redis, commands: readonly Command[]): Promise<void> {
  const replies = await client.pipeline(commands.map((command) => [...command])).exec();
  for (const [cause] of replies ?? []) if (cause !== null) throw cause;
}

/** Brings a whole week in. */
export async function loadWeek(
  client: Redis,
  rival: Rival,
  node: string,
  week: Week,
): Promise<void> {
  for (let first = 0; first < week.rows; first += loadedRows) {
    const length = Math.min(loadedRows, week.rows - first);
    const rows = Array.from({ length }, (_, index) => rowAt(week, first + index));
    await send(client, rival.load(node, rows));
  }
}
