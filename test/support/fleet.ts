import { systemClock } from "../../src/base/clock.ts";
import { createHttpClient } from "../../src/base/http.ts";
import { createRedactor } from "../../src/base/secret.ts";
import type { Level } from "../../src/core/rule.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { createFleetMeter } from "../../src/notify/meter.ts";
import { createNotifier, type Notifier } from "../../src/notify/notifier.ts";
import { createKeys } from "../../src/store/redis/keys.ts";
import { createRedisMeter } from "../../src/store/redis/meter.ts";
import { message, sourced, spec } from "../notify/kit.ts";
import { recordLog } from "./log.ts";
import { openOutbox, outboxDir } from "./outbox.ts";
import type { TestRedis } from "./redis.ts";
import { openQueues, type QueueAgent } from "./redis-outbox.ts";
import type { Robot } from "./robots.ts";

/** So many agents share a connection; each leads and is led for itself. */
const perConnection = 50;
const stormMs = 10_000;

/** One agent's way from a decision to the robots. */
export interface FleetAgent {
  readonly node: string;
  readonly level: Level;
  readonly notifier: Notifier;
}

/** Agents that share a Redis, each with a DingTalk and a Feishu robot; one in ten will be critical. */
export async function startFleet(
  names: readonly string[],
  { server, robots, prefix }: { server: TestRedis; robots: readonly Robot[]; prefix: string },
): Promise<{ agents: readonly FleetAgent[]; readonly stop: () => Promise<void> }> {
  const stops: (() => Promise<unknown>)[] = [];
  const { log } = recordLog();
  const clock = systemClock;
  const http = createHttpClient();
  stops.push(async () => http.close());
  const dir = outboxDir();
  const [dingtalk, feishu] = robots;
  let queues: QueueAgent | null = null;
  const agents: FleetAgent[] = [];
  for (const [at, node] of names.entries()) {
    if (queues === null || at % perConnection === 0) {
      queues = await openQueues(server.settings({ prefix }), { leadMs: 5_000, graceMs: 0 });
      const { stop } = queues;
      stops.push(stop);
    }
    const { connection, receipts, again } = queues;
    const notifier = createNotifier({
      plugins: channelPlugins,
      outbox: openOutbox({ clock, log, receipts, shared: again(), dir: `${dir}/${at}` }),
      receipts,
      meter: createFleetMeter({
        meter: createRedisMeter(connection, createKeys(prefix)),
        clock,
        log,
      }),
      clock,
      log,
      http,
      redactor: createRedactor(),
      random: Math.random,
      language: () => "en",
      node: { cluster: "prod", name: node, ip: "192.0.2.1" },
    });
    stops.push(() => notifier.stop(0));
    notifier.configure([
      sourced(spec({ type: "dingtalk", webhook_url: dingtalk?.url ?? "" })),
      sourced(spec({ type: "feishu", webhook_url: feishu?.url ?? "" })),
    ]);
    agents.push({ node, level: at % 10 === 3 ? "critical" : "warning", notifier });
  }
  const stop = async (): Promise<void> => {
    await Promise.all(stops.toReversed().map((one) => one()));
  };
  return { agents, stop };
}

/** All alert, or recover, at some moment within the ten seconds. */
export async function strike(
  agents: readonly FleetAgent[],
  kind: "firing" | "resolved",
): Promise<void> {
  await Promise.all(
    agents.map(async ({ node, level, notifier }) => {
      await systemClock.sleep(Math.random() * stormMs);
      const value = 80 + Math.random() * 20;
      const about = {
        id: `alert-${node}`,
        level,
        value,
        status: kind,
        subject: { node: { cluster: "prod", name: node, ip: "192.0.2.1" } },
        ...(kind === "resolved" ? { endedAtMs: Date.now(), value: 20 } : {}),
      };
      const news = message(kind, about, { publicUrl: "https://alerts.example" });
      await notifier.notify(news, null);
    }),
  );
}
