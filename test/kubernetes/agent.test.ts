import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { startAgent, type Agent } from "../support/agent.ts";
import { eventually } from "../support/clock.ts";
import { agentNamespace, startKube, type KubeObject, type KubeServer } from "../support/kube.ts";

interface Health {
  readonly status: string;
  readonly components: Readonly<
    Record<
      string,
      { readonly status: string; readonly last_error: string; readonly details: unknown }
    >
  >;
}

/** A rule that the memory of every machine breaks, or none does. */
function memoryAbove(threshold: number): Record<string, string> {
  const rules = [{ name: "mem", index: "memory", operator: ">", threshold, level: "warning" }];
  return { "config.yaml": JSON.stringify({ alerts: { rules } }) };
}

describe("the agent in a cluster", function () {
  this.timeout(60_000);
  let server: KubeServer;
  let dir: string;
  let agents: Agent[];

  beforeEach(async () => {
    server = await startKube();
    server.setNode("node-1", { labels: { pool: "gpu" } });
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-kube-"));
    agents = [];
  });
  afterEach(async () => {
    for (const agent of agents) await agent.stop();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const start = async (): Promise<Agent> => {
    const kubeconfig = path.join(dir, "kubeconfig");
    await writeFile(kubeconfig, server.kubeconfig());
    const agent = await startAgent({
      config: {
        metrics: { collection_interval: 1 },
        storage: { backend: "memory" },
        alerts: { default_rules: false, cooldown_minutes: 1 },
        kubernetes: { enabled: true, namespace: agentNamespace, node_condition: true },
      },
      env: { KUBECONFIG: kubeconfig, NODE_NAME: "node-1", CLUSTER_NAME: "lab" },
      stateDir: path.join(dir, "state"),
    });
    agents.push(agent);
    return agent;
  };
  const stop = async (agent: Agent): Promise<void> => {
    agents = agents.filter((other) => other !== agent);
    assert.equal(await agent.stop(), 0);
  };
  const health = async (agent: Agent): Promise<Health["components"][string]> => {
    const { components } = (await agent.get("/health")).json as Health;
    return components["kubernetes"] ?? assert.fail("no kubernetes");
  };
  const event = (reason: string): KubeObject | undefined =>
    server.events("default").find((each) => each["reason"] === reason);
  const firing = async (agent: Agent): Promise<string[]> => {
    const { json } = await agent.get("/api/alerts");
    const { items } = json as { items: { id: string; status: string }[] };
    return items.filter(({ status }) => status === "firing").map(({ id }) => id);
  };

  it("takes rules from the ConfigMap, tells alerts as Events and by a condition, and takes that away", async () => {
    server.setConfigMap(memoryAbove(101));
    const agent = await start();
    await eventually("the rule is in force", async () => {
      const { text } = await agent.get("/api/rules");
      return text.includes('"configmap"') && text.includes("101");
    });
    await eventually("all is well", async () => (await health(agent)).status === "ok");
    assert.deepEqual((await health(agent)).details, {
      configmap: "watch",
      node: "ok",
      events: "ok",
      condition: "ok",
    });
    server.setConfigMap(memoryAbove(0.01));
    await eventually("the breach is told", () => event("NodeMemoryHigh") !== undefined);
    assert.equal(event("NodeMemoryHigh")?.["type"], "Warning");
    await eventually(
      "the condition is set",
      () => server.conditions("node-1")[0]?.status === "True",
    );
    server.setConfigMap(memoryAbove(101));
    await eventually("the recovery is told", () => event("NodeMemoryRecovered") !== undefined);
    const { text } = await agent.get("/metrics");
    assert.match(text, /^targetvpc_kubernetes_events_total\{outcome="sent"\} 2$/m);
    assert.match(text, /^targetvpc_config_last_reload_successful\{source="configmap"\} 1$/m);
    server.setConfigMap({ "config.yaml": "alerts: 7" });
    await eventually("it is refused", async () => (await health(agent)).status === "degraded");
    assert.match((await health(agent)).last_error, /alerts: expected an object/);
    await stop(agent);
    assert.deepEqual(server.conditions("node-1"), []);
    assert.ok(server.connections <= 3, String(server.connections));
  });

  it("keeps the ConfigMap's rules over a restart without the API server", async () => {
    server.setConfigMap(memoryAbove(0.01));
    const first = await start();
    await eventually("the breach is told", () => event("NodeMemoryHigh") !== undefined);
    const [id] = await firing(first);
    assert.ok(id);
    await stop(first);
    await server.stop();
    const second = await start();
    await eventually("the trouble is seen", async () => (await health(second)).status === "down");
    assert.match((await health(second)).last_error, /ECONNREFUSED.*in force: cached/);
    assert.match((await second.get("/api/rules")).text, /"configmap"/);
    assert.deepEqual(await firing(second), [id]);
  });

  it("ends no alert of an earlier run before it knows that the ConfigMap has no rule for it", async () => {
    server.setConfigMap(memoryAbove(0.01));
    const first = await start();
    await eventually("the breach is told", () => event("NodeMemoryHigh") !== undefined);
    const [id] = await firing(first);
    assert.ok(id);
    await stop(first);
    await server.stop();
    const state = path.join(dir, "state");
    for (const name of await readdir(state))
      if (name.startsWith("kubernetes-configmap")) await rm(path.join(state, name));
    const second = await start();
    const ticks = async (): Promise<number> =>
      Number(/^targetvpc_ticks_total (\d+)$/m.exec((await second.get("/metrics")).text)?.[1]);
    await eventually("it has judged", async () => (await ticks()) >= 3);
    assert.doesNotMatch((await second.get("/api/rules")).text, /"configmap"/);
    assert.deepEqual(await firing(second), [id]);
    await server.start();
    await eventually("the rule is in force", async () =>
      (await second.get("/api/rules")).text.includes('"configmap"'),
    );
    const before = await ticks();
    await eventually("it has judged", async () => (await ticks()) >= before + 2);
    assert.deepEqual(await firing(second), [id], "it is the same alert");
    server.deleteConfigMap();
    await eventually("it has ended", async () => (await firing(second)).length === 0);
  });
});
