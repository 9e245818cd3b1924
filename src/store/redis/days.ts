import { AgentError } from "../../core/errors.ts";
import {
  rowsName,
  type Backend,
  type BlockWrite,
  type DayFields,
  type DayPart,
  type DayPlace,
  type DayStore,
  type DayValues,
} from "../contract.ts";
import { maxSchemas } from "../format/schemas.ts";
import { blockSpan, hourMs, spanAt, type BlockName } from "../slots.ts";
import { bufferOf, createCompact } from "./compact.ts";
import type { RedisCommand, RedisConnection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { bytesReply, countReply, namesReply, textsReply } from "./replies.ts";

/** Days of which it is remembered what was written: the open one and, after an outage, some before it. */
const rememberedDays = 16;

/** Numbers are taken from the lowest, so that most of these are empty; a reply of nulls is small. */
const schemaNumbers = Array.from({ length: maxSchemas }, (_, index) => index + 1);

/** What was last written of a day. */
interface Written {
  readonly epoch: number;
  /** When its newest block begins. */
  readonly newestMs: number;
  /** When it expires, Unix seconds. */
  readonly at: number;
}

/** Knows what was written of each day; after a reconnection nothing of it holds, Redis may have lost it. */
function createWritten(connection: RedisConnection) {
  const known = new Map<string, Written>();
  const ofEpoch = (key: string): Written | undefined => {
    const last = known.get(key);
    return last?.epoch === connection.epoch() ? last : undefined;
  };
  return {
    /** Whether the newest block was already there. */
    isRewrite: (key: string, { newestMs }: Written): boolean => ofEpoch(key)?.newestMs === newestMs,
    /** The expiry is set when it changes, and once an hour. */
    needsExpiry: (key: string, { newestMs, at }: Written): boolean => {
      const last = ofEpoch(key);
      if (last?.at !== at) return true;
      return spanAt(last.newestMs, hourMs).startMs !== spanAt(newestMs, hourMs).startMs;
    },
    note: (key: string, written: Written): void => {
      known.delete(key);
      known.set(key, written);
      const [oldest] = known.keys();
      if (known.size > rememberedDays && oldest !== undefined) known.delete(oldest);
    },
  };
}

function startOf(day: number, name: BlockName): number {
  return blockSpan(day, name)?.startMs ?? 0;
}

/** HSET of the blocks of each day, and its expiry where that is due. */
function createWrite(connection: RedisConnection, keys: Keys): Pick<Backend, "writeBlocks"> {
  const written = createWritten(connection);
  const fields = (writes: readonly BlockWrite[]): (string | Buffer)[] =>
    writes.flatMap(({ block, blob }) => [block, bufferOf(blob)]);
  /** A day whose blocks are gone was flushed or evicted, unless there are columns in their place. */
  const isLost = async (node: string, day: number): Promise<boolean> => {
    const [reply] = await connection.run([["hmget", keys.day("columns", node, day), rowsName]]);
    return textsReply(reply)[0] === null;
  };
  return {
    writeBlocks: async (node, writes, expireAt) => {
      const commands: RedisCommand[] = [];
      const now: { key: string; of: Written }[] = [];
      /** Where commands stand that rewrite a block which is already there, and of which day. */
      const rewritten: { at: number; day: number }[] = [];
      for (const [day, ofDay] of Map.groupBy(writes, ({ day }) => day)) {
        const key = keys.day("blocks", node, day);
        const newestMs = Math.max(...ofDay.map(({ block }) => startOf(day, block)));
        const of = { epoch: connection.epoch(), newestMs, at: expireAt(day) };
        if (written.isRewrite(key, of) && ofDay.length === 1)
          rewritten.push({ at: commands.length, day });
        commands.push(["hset", key, ...fields(ofDay)]);
        if (written.needsExpiry(key, of)) commands.push(["expireat", key, of.at]);
        now.push({ key, of });
      }
      if (commands.length === 0) return;
      const replies = await connection.run(commands);
      for (const { key, of } of now) written.note(key, of);
      // HSET counts new fields: a block written before that counts as new is gone.
      const gone = rewritten.filter(({ at }) => countReply(replies[at]) === 1);
      for (const { day } of gone) if (await isLost(node, day)) connection.renew();
    },
  };
}

/** HSET of a day's tier, and its expiry unless that is known to stand. */
function createTierWrite(connection: RedisConnection, keys: Keys): Backend["writeTier"] {
  let set: { readonly key: string; readonly at: number; readonly epoch: number } | null = null;
  return async (node, day, values, at) => {
    const [key, epoch] = [keys.day("tier", node, day), connection.epoch()];
    const fields = [...values].flatMap(([name, value]) => [name, bufferOf(value)]);
    if (fields.length === 0) return;
    const write: RedisCommand = ["hset", key, ...fields];
    const expire: RedisCommand = ["expireat", key, at];
    if (set?.key === key && set.at === at && set.epoch === epoch) {
      const [added] = await connection.run([write]);
      // Nothing of it was there: it was evicted, and its expiry with it.
      if (countReply(added) === values.size) await connection.run([expire]);
    } else await connection.run([write, expire]);
    set = { key, at, epoch };
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

/** Blocks, schemas, columns and tiers: a hash each for a node and day, which expires as a whole. */
export function createRedisDays(connection: RedisConnection, keys: Keys): DayStore {
  const foreign = createForeign();
  return {
    ...createWrite(connection, keys),
    ...createRead(connection, keys, foreign),
    onForeign: foreign.onForeign,
    compact: createCompact(connection, keys),
    writeTier: createTierWrite(connection, keys),
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
