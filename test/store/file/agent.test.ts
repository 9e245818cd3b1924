import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { startAgent, type Agent } from "../../support/agent.ts";
import { eventually } from "../../support/clock.ts";
import { startFeishu } from "../../support/robots.ts";

type Rows = { timestamp: number; metrics: Record<string, number | null> }[];
interface Items {
  readonly items: readonly { readonly id: string; readonly status?: string }[];
}

describe("the agent with storage.backend: file", function () {
  this.timeout(60_000);
  let dir: string;
  const stops: (() => Promise<unknown>)[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "file-agent-"));
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("has history, alert states, receipts and nodes after a restart, however it ended", async () => {
    const feishu = await startFeishu();
    stops.push(() => feishu.close());
    const state = path.join(dir, "state");
    const config = {
      storage: { backend: "file" },
      metrics: { collection_interval: 1 },
      alerts: {
        language: "en",
        default_rules: false,
        rules: [{ name: "always", index: "memory", threshold: 0.1 }],
        channels: [{ name: "ops", type: "feishu", webhook_url: feishu.url }],
      },
    };
    const start = async (): Promise<Agent> => {
      const agent = await startAgent({ config, stateDir: state, env: { NODE_NAME: "node-1" } });
      stops.push(() => agent.kill().catch(() => undefined));
      return agent;
    };
    const rows = async (agent: Agent): Promise<Rows> =>
      (await agent.post("/api/metrics", { start_time: "-5m", indexes: ["cpu", "memory"] }))
        .json as Rows;
    const items = async (agent: Agent, what: string): Promise<Items["items"]> =>
      ((await agent.get(what)).json as Items).items;

    let before: Rows = [];
    let alert: string | undefined;
    let receipt: string | undefined;
    for (const [life, end] of (["stop", "kill", "stop"] as const).entries()) {
      const agent = await start();
      await eventually(
        "it has new samples",
        async () => (await rows(agent)).length >= before.length + 3,
      );
      const now = await rows(agent);
      const sampled = before.filter(({ metrics }) => metrics["memory"] !== null);
      for (const { timestamp, metrics } of sampled) {
        const same = now.find((row) => row.timestamp === timestamp);
        assert.deepEqual(same?.metrics, metrics, `life ${life}: what was sampled before is there`);
      }
      await eventually(
        "the alert is known",
        async () => (await items(agent, "/api/alerts")).length > 0,
      );
      await eventually("it was told", async () =>
        (await agent.get("/api/deliveries")).text.includes('"sent"'),
      );
      const [found] = await items(agent, "/api/alerts");
      assert.equal(found?.id, (alert ??= found?.id), "it is the same alert");
      assert.equal(found?.status, "firing");
      const deliveries = await items(agent, "/api/deliveries");
      assert.equal(deliveries.length, 1);
      assert.equal(deliveries[0]?.id, (receipt ??= deliveries[0]?.id));
      assert.equal((await items(agent, "/api/nodes")).length, 1);
      const health = (await agent.get("/health")).json as {
        components: Record<string, { status: string }>;
      };
      assert.equal(health.components["storage"]?.status, "ok");
      assert.equal(health.components["redis"]?.status, "disabled");
      // The next life may begin in the second of the last sample, and then its own counts; the last but one may still
      // have been on its way when it was killed.
      before = (await rows(agent)).slice(0, end === "kill" ? -2 : -1);
      await agent[end]();
      // The states come from the store, not from the small file beside it.
      for (const file of await readdir(state))
        if (file.startsWith("states-")) await rm(path.join(state, file));
      const warnings = agent.lines().filter(({ level }) => level === "warn" || level === "error");
      assert.deepEqual(warnings, []);
    }
    assert.equal(feishu.received.length, 1, "nobody is told twice");
  });
});
