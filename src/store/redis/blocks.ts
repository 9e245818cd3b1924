import type { Backend, BlockWrite } from "../contract.ts";
import { maxSchemas } from "../schemas.ts";
import type { RedisCommand, RedisConnection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { bytesReply, countReply, textsReply } from "./replies.ts";

/** Days whose expiry is remembered: the open one and, after an outage, some before it. */
const rememberedDays = 16;

/** Numbers are taken from the lowest, so that most of these are empty; a reply of nulls is small. */
const schemaNumbers = Array.from({ length: maxSchemas }, (_, index) => index + 1);

/** An expiry that was set while this block was the newest of its day. */
interface Expiry {
  readonly epoch: number;
  readonly block: number;
  readonly at: number;
}

/** Sets the expiry of a day once a block, and again after a reconnection: Redis may have lost it with the key. */
function createExpiries(connection: RedisConnection) {
  const known = new Map<string, Expiry>();
  return {
    isSet: (key: string, { epoch, block, at }: Expiry): boolean => {
      const set = known.get(key);
      return set?.epoch === epoch && set.block === block && set.at === at;
    },
    of: (block: number, at: number): Expiry => ({ epoch: connection.epoch(), block, at }),
    note: (key: string, expiry: Expiry): void => {
      known.delete(key);
      known.set(key, expiry);
      const [oldest] = known.keys();
      if (known.size > rememberedDays && oldest !== undefined) known.delete(oldest);
    },
  };
}

/** HSET of the blocks of each day, and its expiry where that is not yet set. */
function createWrite(
  connection: RedisConnection,
  keys: Keys,
): Pick<Backend, "writeBlocks" | "expireDays"> {
  const expiries = createExpiries(connection);
  const fields = (writes: readonly BlockWrite[]): (string | Buffer)[] =>
    writes.flatMap(({ block, blob }) => [
      String(block),
      Buffer.from(blob.buffer, blob.byteOffset, blob.byteLength),
    ]);
  return {
    writeBlocks: async (node, writes, expireAt) => {
      const commands: RedisCommand[] = [];
      const set: { key: string; expiry: Expiry }[] = [];
      /** Where commands stand that rewrite a block which is already there. */
      const rewritten: number[] = [];
      for (const [day, ofDay] of Map.groupBy(writes, ({ day }) => day)) {
        const key = keys.blocks(node, day);
        const newest = Math.max(...ofDay.map(({ block }) => block));
        const expiry = expiries.of(newest, expireAt(day));
        const known = expiries.isSet(key, expiry);
        if (known && ofDay.length === 1) rewritten.push(commands.length);
        commands.push(["hset", key, ...fields(ofDay)]);
        if (known) continue;
        commands.push(["expireat", key, expiry.at]);
        set.push({ key, expiry });
      }
      if (commands.length === 0) return;
      const replies = await connection.run(commands);
      for (const { key, expiry } of set) expiries.note(key, expiry);
      // HSET counts new fields: a block written before that counts as new means that its day was flushed or evicted.
      if (rewritten.some((at) => countReply(replies[at]) === 1)) connection.renew();
    },
    expireDays: async (node, days, expireAt) => {
      if (days.length === 0) return;
      await connection.run(days.map((day) => ["expireat", keys.blocks(node, day), expireAt(day)]));
    },
  };
}

type Blocks = Pick<
  Backend,
  "readBlocks" | "writeBlocks" | "expireDays" | "readSchemas" | "addSchema"
>;

/** Blocks and schemas: one hash for each node and day, which expires as a whole. */
export function createRedisBlocks(connection: RedisConnection, keys: Keys): Blocks {
  return {
    ...createWrite(connection, keys),
    readBlocks: async (node, day, blocks) => {
      if (blocks.length === 0) return [];
      const [reply] = await connection.run([["hmgetBuffer", keys.blocks(node, day), ...blocks]]);
      return bytesReply(reply);
    },
    readSchemas: async (node, day) => {
      const names = schemaNumbers.map((number) => `s${number}`);
      const [reply] = await connection.run([["hmget", keys.blocks(node, day), ...names]]);
      const texts = textsReply(reply);
      return new Map(
        schemaNumbers.flatMap((number, index) => {
          const text = texts[index] ?? null;
          return text === null ? [] : [[number, text]];
        }),
      );
    },
    addSchema: async (node, day, { number, json, expireAt }) => {
      const key = keys.blocks(node, day);
      const [added] = await connection.run([
        ["hsetnx", key, `s${number}`, json],
        ["expireat", key, expireAt],
      ]);
      return countReply(added) === 1;
    },
  };
}
