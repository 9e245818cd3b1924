import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { startAgent, type Agent } from "./support/agent.ts";
import { eventually } from "./support/clock.ts";
import {
  startAlertmanager,
  startWebhook,
  type Receiver,
  type TestAlertmanager,
} from "./support/pushes.ts";

const secrets = { hook: "webhook-signing-hunter2", am: "alertmanager-token-hunter2" };

function alertNames({ requests }: Receiver): string[] {
  return requests.flatMap(({ body }) =>
    (body as { alerts: { labels: { alertname: string } }[] }).alerts.map(
      ({ labels }) => labels.alertname,
    ),
  );
}

describe("an agent that pushes alerts", function () {
  this.timeout(60_000);
  let dir: string;
  let hook: Receiver;
  let am: TestAlertmanager;
  const agents: Agent[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-pushes-"));
    hook = await startWebhook({ secret: secrets.hook });
    am = await startAlertmanager({
      clock: systemClock,
      authorization: `Bearer ${secrets.am}`,
    });
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
    await Promise.all([hook.close(), am.close()]);
    await rm(dir, { recursive: true, force: true });
  });

  async function start(): Promise<Agent> {
    const agent = await startAgent({
      config: {
        storage: { backend: "file" },
        metrics: { collection_interval: 1 },
        kubernetes: { enabled: false },
        alerts: {
          language: "en",
          default_rules: false,
          rules: [{ name: "memory-used", index: "memory", operator: ">", threshold: 0 }],
          channels: [
            { type: "webhook", url: `${hook.url}/hook-hunter2-path`, secret: secrets.hook },
            { type: "alertmanager", urls: [am.url], token: secrets.am },
          ],
        },
      },
      env: { NODE_NAME: "node-1", CLUSTER_NAME: "lab" },
      stateDir: path.join(dir, "state"),
    });
    agents.push(agent);
    return agent;
  }

  const firing = (): string[] =>
    am.firing(systemClock.now()).map(({ labels }) => labels["alertname"] ?? "");

  it("says what fires again when it is back, tells no Alertmanager what it has from one, shows no secret", async () => {
    const first = await start();
    await eventually("both have the alert", () => hook.requests.length > 0 && firing().length > 0);
    assert.deepEqual([alertNames(hook), firing()], [["memory-used"], ["memory-used"]]);
    await eventually("both receipts say so", async () => {
      const { items } = (await first.get("/api/deliveries")).json as {
        items: { outcome: string; code: string | null }[];
      };
      return items.filter(({ outcome }) => outcome === "sent").length === 2;
    });

    const posted = await fetch(`${first.url}/api/v2/alerts`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify([{ labels: { alertname: "HighLatency" } }]),
    });
    assert.equal(posted.status, 200);
    await eventually("the webhook has it", () => alertNames(hook).includes("HighLatency"));
    assert.deepEqual(firing(), ["memory-used"]);
    const paths = ["/api/config", "/api/channels", "/api/deliveries", "/health", "/metrics", "/"];
    const shown = [first.output()];
    for (const at of paths) shown.push((await first.get(at)).text);
    for (const secret of [...Object.values(secrets), "hook-hunter2-path"])
      assert.ok(!shown.join("\n").includes(secret), `${secret} is shown`);

    await first.kill();
    const [told, pushed] = [hook.requests.length, am.requests.length];
    const endsAtMs = am.known()[0]?.endsAtMs ?? 0;
    await start();
    await eventually("it says so again", () => am.requests.length > pushed);
    assert.deepEqual(firing(), ["memory-used"]);
    assert.ok((am.known()[0]?.endsAtMs ?? 0) > endsAtMs);
    assert.equal(hook.requests.length, told, "nobody is told twice");
    assert.ok([...hook.requests, ...am.requests].every(({ status }) => status === 200));
  });
});
