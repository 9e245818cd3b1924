import { randomUUID } from "node:crypto";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Config } from "../config/settings.ts";
import { createConnection, type RedisConnection } from "../store/redis/connection.ts";
import { redisTarget } from "../store/redis/settings.ts";
import { redisSettings, settled } from "../storage.ts";

/** What Redis says of itself; a null is what it may not tell. */
export interface RedisFacts {
  readonly address: string;
  readonly latencyMs: number;
  readonly version: string | null;
  /** Bytes; 0: no limit. */
  readonly maxMemory: number | null;
  readonly usedMemory: number | null;
  readonly policy: string | null;
  /** How far its clock is ahead of ours. */
  readonly aheadMs: number | null;
  /** Why the probe key could not be written, read or removed; null: it could. */
  readonly refused: string | null;
}

export type RedisSight =
  | { readonly kind: "off" }
  | { readonly kind: "down"; readonly address: string; readonly reason: string }
  | ({ readonly kind: "up" } & RedisFacts);

export interface RedisProbe {
  look(): Promise<RedisSight>;
  close(): Promise<void>;
}

/** A connection gives up after five seconds by itself, then it says why. */
const patienceMs = 5_500;
/** The probe key goes by itself, should the agent die between writing and removing it. */
const probeSeconds = 30;

async function connected(connection: RedisConnection, clock: Clock): Promise<string | null> {
  connection.start();
  await settled(connection, clock, patienceMs);
  const { status, lastError } = connection.status();
  if (status === "ok") return null;
  return lastError ?? `no answer in ${patienceMs / 1_000} s`;
}

/** The `name:value` lines of an INFO section; an ACL may refuse it. */
async function info(
  connection: RedisConnection,
  section: string,
): Promise<ReadonlyMap<string, string>> {
  try {
    const [text] = await connection.run([["info", section]]);
    const lines = String(text).split("\r\n");
    return new Map(
      lines.map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1)];
      }),
    );
  } catch {
    return new Map();
  }
}

function numberOf(text: string | undefined): number | null {
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

/** The server's time between the two moments it was asked; null where it may not be asked. */
async function aheadOf(connection: RedisConnection, clock: Clock): Promise<number | null> {
  try {
    const beganMs = clock.now();
    const [time] = await connection.run([["time"]]);
    const [seconds, micros] = Array.isArray(time) ? time.map(Number) : [];
    if (seconds === undefined || micros === undefined) return null;
    return Math.round(seconds * 1_000 + micros / 1_000 - (beganMs + clock.now()) / 2);
  } catch {
    return null;
  }
}

/** Writes, reads, limits and removes a key of its own by the kinds of commands the agent uses. */
async function refusalOf(connection: RedisConnection, prefix: string): Promise<string | null> {
  const key = `${prefix}:doctor:${randomUUID()}`;
  const word = randomUUID();
  try {
    const replies = await connection.run([
      ["hset", key, "probe", word],
      ["expire", key, probeSeconds],
      ["hmget", key, "probe"],
      ["hdel", key, "probe"],
      ["zadd", key, 1, word],
      ["zrange", key, 0, 0],
      ["zrem", key, word],
    ]);
    const [read, listed] = [replies[2], replies[5]];
    return String(read) === word && String(listed) === word ? null : "it read back something else";
  } catch (cause) {
    await connection.run([["hdel", key, "probe"]]).catch(() => []);
    return errorText(cause);
  }
}

async function factsOf(
  connection: RedisConnection,
  { prefix, address, clock }: { prefix: string; address: string; clock: Clock },
): Promise<RedisFacts> {
  await connection.run([["ping"]]);
  const beganMs = clock.monotonic();
  await connection.run([["ping"]]);
  const latencyMs = clock.monotonic() - beganMs;
  const server = await info(connection, "server");
  const memory = await info(connection, "memory");
  return {
    address,
    latencyMs,
    version: server.get("redis_version") ?? null,
    maxMemory: numberOf(memory.get("maxmemory")),
    usedMemory: numberOf(memory.get("used_memory")),
    policy: memory.get("maxmemory_policy") ?? null,
    aheadMs: await aheadOf(connection, clock),
    refused: await refusalOf(connection, prefix),
  };
}

/** Looks at Redis over the connection the agent itself uses. */
export function createRedisProbe(
  { storage, redis }: Config,
  deps: { readonly clock: Clock; readonly log: Log },
): RedisProbe {
  let connection: RedisConnection | null = null;
  const look = async (): Promise<RedisSight> => {
    if (storage.backend !== "redis") return { kind: "off" };
    let address = "redis.url";
    try {
      const target = redisTarget(redisSettings(redis));
      address = `${target.host}:${target.port}`;
      connection = createConnection(target, deps);
      const reason = await connected(connection, deps.clock);
      if (reason !== null) return { kind: "down", address, reason };
      const { prefix } = redis;
      return {
        kind: "up",
        ...(await factsOf(connection, { prefix, address, clock: deps.clock })),
      };
    } catch (cause) {
      return { kind: "down", address, reason: errorText(cause) };
    }
  };
  return { look, close: async () => connection?.stop() };
}
