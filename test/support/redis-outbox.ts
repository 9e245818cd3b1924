import { systemClock } from "../../src/base/clock.ts";
import type { ReceiptPort, SharedOutbox } from "../../src/core/delivery.ts";
import { createJsonReader } from "../../src/store/garbled.ts";
import { createConnection, type RedisConnection } from "../../src/store/redis/connection.ts";
import { createKeys } from "../../src/store/redis/keys.ts";
import { createRedisOutbox, type OutboxTimes } from "../../src/store/redis/outbox.ts";
import { createChannelNotes, createRedisReceipts } from "../../src/store/redis/receipts.ts";
import { redisTarget, type RedisSettings } from "../../src/store/redis/settings.ts";
import { eventually } from "./clock.ts";
import { recordLog } from "./log.ts";

/** An agent's way to the queues in Redis, with times of a test. */
export interface QueueAgent {
  readonly outbox: SharedOutbox;
  readonly receipts: ReceiptPort;
  readonly connection: RedisConnection;
  readonly log: ReturnType<typeof recordLog>;
  /** One more agent's way, by the same connection. */
  readonly again: () => SharedOutbox;
  readonly stop: () => Promise<void>;
}

export async function openQueues(
  settings: RedisSettings,
  times: OutboxTimes = { leadMs: 300, graceMs: 0 },
): Promise<QueueAgent> {
  const log = recordLog();
  const { prefix } = settings;
  const clock = systemClock;
  const connection = createConnection(redisTarget(settings), { clock, log: log.log, prefix });
  connection.start();
  await eventually("connected", () => connection.status().status === "ok");
  const small = {
    connection,
    keys: createKeys(prefix),
    clock,
    readJson: createJsonReader(log.log),
    retentionDays: () => 7,
  };
  const deps = { ...small, channels: createChannelNotes(small) };
  return {
    outbox: createRedisOutbox(deps, times),
    receipts: createRedisReceipts(deps),
    connection,
    log,
    again: () => createRedisOutbox(deps, times),
    stop: () => connection.stop(),
  };
}
