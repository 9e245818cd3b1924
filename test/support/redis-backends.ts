import type { Backend } from "../../src/store/contract.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import type { RedisSettings } from "../../src/store/redis/settings.ts";
import { eventually, type ManualClock } from "./clock.ts";
import { recordLog } from "./log.ts";

/** Backends of a test, each with a log of its own. */
export class RedisBackends {
  #running: Backend[] = [];

  start(
    settings: RedisSettings,
    clock: ManualClock,
  ): { backend: Backend; kept: ReturnType<typeof recordLog> } {
    const kept = recordLog();
    const backend = createRedisBackend(settings, { clock, log: kept.log, retentionDays: () => 7 });
    backend.start();
    this.#running.push(backend);
    return { backend, kept };
  }

  async stop(): Promise<void> {
    for (const backend of this.#running.splice(0)) await backend.stop();
  }
}

/** Waits until a backend has connected. */
export function connected(backend: Backend, timeoutMs = 10_000): Promise<void> {
  return eventually("redis is connected", () => backend.status().status === "ok", timeoutMs);
}
