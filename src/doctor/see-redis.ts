import { randomUUID } from "node:crypto";
import { errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Config } from "../config/settings.ts";
import { createConnection, type RedisConnection } from "../store/redis/connection.ts";
import { aheadMs } from "../store/redis/drift.ts";
import { factsOf, greeting, type ServerFacts } from "../store/redis/server.ts";
import { redisTarget, targetText } from "../store/redis/settings.ts";
import { redisSettings, settled } from "../storage.ts";

/** What Redis says of itself; a null is what it may not tell. */
export interface RedisFacts extends ServerFacts {
  readonly address: string;
  readonly latencyMs: number;
  /** How far its clock is ahead of ours. */
  readonly aheadMs: number | null;
  /** What the agent would say that the server lacks, by kind. */
  readonly lacks: Readonly<Record<string, string>>;
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

/** What it may tell of itself; in a cluster, what one of its nodes does. */
async function told(connection: RedisConnection): Promise<ServerFacts> {
  try {
    return factsOf((await connection.run(greeting)).map((reply) => [null, reply]));
  } catch {
    return factsOf([]);
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

async function askAll(
  connection: RedisConnection,
  { prefix, address, clock }: { prefix: string; address: string; clock: Clock },
): Promise<RedisFacts> {
  await connection.run([["ping"]]);
  const beganMs = clock.monotonic();
  await connection.run([["ping"]]);
  const latencyMs = clock.monotonic() - beganMs;
  return {
    address,
    latencyMs,
    ...(await told(connection)),
    aheadMs: await aheadMs(connection, clock),
    refused: await refusalOf(connection, prefix),
    lacks: connection.status().details ?? {},
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
    const { prefix } = redis;
    let address = "redis.url";
    try {
      const target = redisTarget(redisSettings(redis));
      address = targetText(target);
      connection = createConnection(target, { ...deps, prefix });
      const reason = await connected(connection, deps.clock);
      if (reason !== null) return { kind: "down", address, reason };
      return {
        kind: "up",
        ...(await askAll(connection, { prefix, address, clock: deps.clock })),
      };
    } catch (cause) {
      return { kind: "down", address, reason: errorText(cause) };
    }
  };
  return { look, close: async () => connection?.stop() };
}
