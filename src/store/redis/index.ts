import type { Backend } from "../contract.ts";
import type { BackendDeps, BackendPlugin } from "../plugin.ts";
import { createRedisDays } from "./days.ts";
import { createConnection } from "./connection.ts";
import { createJsonReader } from "../garbled.ts";
import { createRedisHashes } from "./hashes.ts";
import { aheadMs } from "./drift.ts";
import { createRedisHistory } from "./history.ts";
import { createKeys } from "./keys.ts";
import { createRedisAcknowledgements, createRedisKeys } from "./links.ts";
import { createRedisNodes } from "./nodes.ts";
import { createRedisOutbox } from "./outbox.ts";
import { createChannelNotes, createRedisReceipts } from "./receipts.ts";
import { createRedisMeter } from "./meter.ts";
import { createRedisSilences } from "./silences.ts";
import { redisTarget, type RedisSettings } from "./settings.ts";

/** A backend in a Redis 6.2+ or Valkey that the fleet shares. Throws CONFIG_INVALID when a setting is wrong. */
export function createRedisBackend(
  settings: RedisSettings,
  { clock, log, retentionDays }: BackendDeps,
): Backend {
  const connection = createConnection(redisTarget(settings), {
    clock,
    log,
    prefix: settings.prefix,
  });
  const keys = createKeys(settings.prefix);
  const small = { connection, keys, clock, readJson: createJsonReader(log), retentionDays };
  const deps = { ...small, channels: createChannelNotes(small) };
  return {
    name: "redis",
    start: () => connection.start(),
    stop: () => connection.stop(),
    status: () => connection.status(),
    epoch: () => connection.epoch(),
    reconnect: (changed) => connection.retarget(redisTarget(changed)),
    aheadMs: () => aheadMs(connection, clock),
    ...createRedisDays(connection, keys),
    ...createRedisNodes(deps),
    ...createRedisHashes(deps),
    receipts: createRedisReceipts(deps),
    silences: createRedisSilences(deps),
    history: createRedisHistory(deps),
    acknowledgements: createRedisAcknowledgements(deps),
    signingKeys: createRedisKeys(deps),
    outbox: createRedisOutbox(deps),
    meter: createRedisMeter(connection, keys),
  };
}

export const redis = {
  name: "redis",
  doc: "In a Redis or Valkey that all nodes share",
  create: ({ redis: settings }, deps) => createRedisBackend(settings, deps),
} as const satisfies BackendPlugin;
