import { systemClock } from "../../src/base/clock.ts";
import { startAgent } from "../../test/support/agent.ts";
import { eventually } from "../../test/support/clock.ts";
import { prefix } from "./measure-ours.ts";
import { meterRead, type ReadCost } from "./meter.ts";
import { openStore } from "./ours.ts";
import type { Server } from "./server.ts";
import { nodeOf, readSeries, type Week } from "./week.ts";

/** A week of one series of another node, asked of a whole agent: JSON over HTTP until its last byte. */
export async function readOverHttp(server: Server, week: Week): Promise<ReadCost> {
  const node = nodeOf(week);
  const [cluster = "", name = ""] = node.split("/");
  const store = await openStore({ server, prefix, node: "bench/reader", clock: systemClock });
  // An agent answers for nodes it has heard of.
  const lastSeenMs = systemClock.now();
  await store.backend.heartbeat({ cluster, name, ip: "192.0.2.1", version: "", lastSeenMs });
  await store.close();
  const agent = await startAgent({
    env: {
      REDIS_PORT: String(server.redis.port),
      REDIS_PREFIX: prefix,
      CLUSTER_NAME: "bench",
      NODE_NAME: "asked",
      KUBERNETES_ENABLED: "false",
    },
  });
  try {
    const body = {
      node,
      indexes: [readSeries],
      start_time: week.startMs / 1_000,
      end_time: week.endMs / 1_000 - 1,
    };
    const read = async (): Promise<string> => {
      const reply = await fetch(`${agent.url}/api/metrics`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!reply.ok) throw new Error(`HTTP ${reply.status}: ${await reply.text()}`);
      return reply.text();
    };
    await eventually("the agent is connected", async () => {
      const { json } = await agent.get("/health");
      const { components } = json as { components: { redis: { status: string } } }; // proof: the agent's own answer
      return components.redis.status === "ok";
    });
    const rows = (JSON.parse(await read()) as readonly unknown[]).length;
    if (rows !== week.rows) throw new Error(`${rows} rows, expected ${week.rows}`);
    return await meterRead(read);
  } finally {
    await agent.kill();
  }
}
