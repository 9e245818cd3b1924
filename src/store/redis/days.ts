import { AgentError } from "../../core/errors.ts";
import {
  rowsName,
  type Backend,
  type BlockWrite,
  type DayFields,
  type DayPart,
  type DayPlace,
  type DayValues,
} from "../contract.ts";
import { maxSchemas } from "../format/schemas.ts";
import { blockSpan, type BlockName } from "../slots.ts";
import { bufferOf, createCompact } from "./compact.ts";
import type { RedisCommand, RedisConnection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { bytesReply, countReply, namesReply, textsReply } from "./replies.ts";

/** Days whose expiry is remembered: the open one and, after an outage, some before it. */
const rememberedDays = 16;

/** Numbers are taken from the lowest, so that most of these are empty; a reply of nulls is small. */
const schemaNumbers = Array.from({ length: maxSchemas }, (_, index) => index + 1);

/** An expiry that was set while this block was the newest of its day. */
interface Expiry {
  readonly epoch: number;
  /** When the block begins. */
  readonly blockMs: number;
  readonly at: number;
}

/** Sets the expiry of a day once a block, and again after a reconnection: Redis may have lost it with the key. */
function createExpiries(connection: RedisConnection) {
  const known = new Map<string, Expiry>();
  return {
    isSet: (key: string, { epoch, blockMs, at }: Expiry): boolean => {
      const set = known.get(key);
      return set?.epoch === epoch && set.blockMs === blockMs && set.at === at;
    },
    of: (blockMs: number, at: number): Expiry => ({ epoch: connection.epoch(), blockMs, at }),
    note: (key: string, expiry: Expiry): void => {
      known.delete(key);
      known.set(key, expiry);
      const [oldest] = known.keys();
      if (known.size > rememberedDays && oldest !== undefined) known.delete(oldest);
    },
  };
}

function startOf(day: number, name: BlockName): number {
  return blockSpan(day, name)?.startMs ?? 0;
}

/** HSET of the blocks of each day, and its expiry where that is not yet set. */
function createWrite(connection: RedisConnection, keys: Keys): Pick<Backend, "writeBlocks"> {
  const expiries = createExpiries(connection);
  const fields = (writes: readonly BlockWrite[]): (string | Buffer)[] =>
    writes.flatMap(({ block, blob }) => [block, bufferOf(blob)]);
  /** A day whose blocks are gone was flushed or evicted, unless there are columns in their place. */
  const isLost = async (node: string, day: number): Promise<boolean> => {
    const [rows] = await connection.run([["hget", keys.day("columns", node, day), rowsName]]);
    return rows === null;
  };
  return {
    writeBlocks: async (node, writes, expireAt) => {
      const commands: RedisCommand[] = [];
      const set: { key: string; expiry: Expiry }[] = [];
      /** Where commands stand that rewrite a block which is already there, and of which day. */
      const rewritten: { at: number; day: number }[] = [];
      for (const [day, ofDay] of Map.groupBy(writes, ({ day }) => day)) {
        const key = keys.day("blocks", node, day);
        const newestMs = Math.max(...ofDay.map(({ block }) => startOf(day, block)));
        const expiry = expiries.of(newestMs, expireAt(day));
        const known = expiries.isSet(key, expiry);
        if (known && ofDay.length === 1) rewritten.push({ at: commands.length, day });
        commands.push(["hset", key, ...fields(ofDay)]);
        if (known) continue;
        commands.push(["expireat", key, expiry.at]);
        set.push({ key, expiry });
      }
      if (commands.length === 0) return;
      const replies = await connection.run(commands);
      for (const { key, expiry } of set) expiries.note(key, expiry);
      // HSET counts new fields: a block written before that counts as new is gone.
      const gone = rewritten.filter(({ at }) => countReply(replies[at]) === 1);
      for (const { day } of gone) if (await isLost(node, day)) connection.renew();
    },
  };
}

/** Reads of keys that may hold something else: somebody else's, which counts as nothing and is left alone. */
function createForeign() {
  const listeners: ((place: DayPlace) => void)[] = [];
  return {
    onForeign: (listener: (place: DayPlace) => void): void => void listeners.push(listener),
    orNothing: async <T>(place: DayPlace, nothing: T, work: () => Promise<T>): Promise<T> => {
      try {
        return await work();
      } catch (cause) {
        if (!isOtherType(cause)) throw cause;
        for (const listener of listeners) listener(place);
        return nothing;
      }
    },
  };
}
type Foreign = ReturnType<typeof createForeign>;

function isOtherType(cause: unknown): boolean {
  return cause instanceof AgentError && cause.message.includes("WRONGTYPE");
}

function createRead(
  connection: RedisConnection,
  keys: Keys,
  { orNothing }: Foreign,
): Pick<Backend, "read" | "names" | "readSchemas"> {
  const run = async (node: string, wanted: readonly DayFields[]): Promise<readonly DayValues[]> => {
    const asked = wanted.filter(({ names }) => names.length > 0);
    if (asked.length === 0) return wanted.map(() => []);
    const replies = await connection.run(
      asked.map(({ part, day, names }) => ["hmgetBuffer", keys.day(part, node, day), ...names]),
    );
    const found = new Map(asked.map((one, index) => [one, bytesReply(replies[index])]));
    return wanted.map((one) => found.get(one) ?? []);
  };
  const runOne = (node: string, one: DayFields): Promise<DayValues> => {
    const { day, part, names } = one;
    const nothing = names.map(() => null);
    return orNothing({ node, day, part }, nothing, async () => (await run(node, [one]))[0] ?? []);
  };
  return {
    read: async (node, wanted) => {
      try {
        return await run(node, wanted);
      } catch (cause) {
        // One by one: a key of another type hides nothing of the others.
        if (!isOtherType(cause)) throw cause;
        return Promise.all(wanted.map((one) => runOne(node, one)));
      }
    },
    names: (node, day, part) =>
      orNothing({ node, day, part }, [], async () => {
        const [reply] = await connection.run([["hkeys", keys.day(part, node, day)]]);
        const names = namesReply(reply);
        return part === "blocks" ? names.filter((name) => blockSpan(day, name) !== null) : names;
      }),
    readSchemas: (node, day) =>
      orNothing({ node, day, part: "blocks" }, new Map<number, string>(), async () => {
        const fields = schemaNumbers.map((number) => `s${number}`);
        const [reply] = await connection.run([["hmget", keys.day("blocks", node, day), ...fields]]);
        const texts = textsReply(reply);
        return new Map(
          schemaNumbers.flatMap((number, index) => {
            const text = texts[index] ?? null;
            return text === null ? [] : [[number, text]];
          }),
        );
      }),
  };
}

type Days = Pick<
  Backend,
  | "read"
  | "onForeign"
  | "names"
  | "writeBlocks"
  | "writeTier"
  | "compact"
  | "expireDays"
  | "readSchemas"
  | "addSchema"
>;

/** Blocks, schemas, columns and tiers: a hash each for a node and day, which expires as a whole. */
export function createRedisDays(connection: RedisConnection, keys: Keys): Days {
  const foreign = createForeign();
  return {
    ...createWrite(connection, keys),
    ...createRead(connection, keys, foreign),
    onForeign: foreign.onForeign,
    compact: createCompact(connection, keys),
    writeTier: async (node, day, values, expireAt) => {
      const key = keys.day("tier", node, day);
      const fields = [...values].flatMap(([name, value]) => [name, bufferOf(value)]);
      if (fields.length === 0) return;
      await connection.run([
        ["hset", key, ...fields],
        ["expireat", key, expireAt],
      ]);
    },
    expireDays: async (node, part, days, expireAt) => {
      const parts: readonly DayPart[] = part === "tier" ? ["tier"] : ["blocks", "columns"];
      const commands = days.flatMap((day) =>
        parts.map((one): RedisCommand => ["expireat", keys.day(one, node, day), expireAt(day)]),
      );
      if (commands.length > 0) await connection.run(commands);
    },
    addSchema: async (node, day, { number, json, expireAt }) => {
      const key = keys.day("blocks", node, day);
      const [added] = await connection.run([
        ["hsetnx", key, `s${number}`, json],
        ["expireat", key, expireAt],
      ]);
      return countReply(added) === 1;
    },
  };
}
