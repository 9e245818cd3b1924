import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { startAgent, type Agent } from "../../support/agent.ts";
import { eventually } from "../../support/clock.ts";
import { startPrometheus } from "../../support/prometheus.ts";
import { startFeishu, type Robot } from "../../support/robots.ts";

/** Where the suite is given a real Prometheus, it sends; a client that sends what one sends always does. */
const program = process.env["PROMETHEUS"];
const token = "a-token-for-writes";

describe("alerts of a Prometheus that names the agent as its Alertmanager", function () {
  this.timeout(60_000);
  let feishu: Robot;
  let agent: Agent;

  beforeEach(async () => {
    feishu = await startFeishu();
    agent = await startAgent({
      config: {
        metrics: { collection_interval: 1 },
        storage: { backend: "memory" },
        server: { token },
        alerts: {
          default_rules: false,
          language: "en",
          channels: [{ type: "feishu", webhook_url: feishu.url, enabled: true }],
        },
      },
      env: { NODE_NAME: "node-1", CLUSTER_NAME: "lab" },
    });
  });
  afterEach(async () => {
    await agent.stop();
    await feishu.close();
  });

  const titles = (): string[] => feishu.received.map(({ title }) => title);

  it("reach people once, and so does their end", async () => {
    const send = async (endsAtMs: number): Promise<void> => {
      const reply = await fetch(`${agent.url}/api/v2/alerts`, {
        method: "POST",
        headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
        body: JSON.stringify([
          {
            annotations: { summary: "p99 above 2 s" },
            endsAt: new Date(endsAtMs).toISOString(),
            startsAt: new Date(Date.now() - 90_000).toISOString(),
            generatorURL: "http://prometheus.example:9090/graph?g0.expr=up&g0.tab=1",
            labels: { alertname: "HighLatency", instance: "node-7:9100", severity: "page" },
          },
        ]),
      });
      assert.equal(reply.status, 200);
      assert.equal(await reply.text(), "");
    };
    for (let at = 0; at < 3; at++) await send(Date.now() + 240_000);
    await eventually("it is told", () => feishu.received.length > 0);
    for (let at = 0; at < 3; at++) await send(Date.now() - 1_000);
    await eventually("its end is told", () => feishu.received.length > 1);
    assert.deepEqual(titles(), [
      "[CRITICAL] HighLatency on node-7",
      "[RESOLVED] HighLatency on node-7",
    ]);
    const [text = ""] = feishu.received.map(({ text }) => text);
    assert.match(text, /p99 above 2 s/);
    assert.match(text, /Source/);
    assert.match(text, /http:\/\/prometheus\.example:9090\/graph/);
    assert.match(feishu.received[1]?.text ?? "", /Duration: 1 min 2\d s/);
  });

  it("are over by time when nobody sends them again", async () => {
    const reply = await fetch(`${agent.url}/api/v2/alerts`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
      body: JSON.stringify([
        { labels: { alertname: "Short" }, endsAt: new Date(Date.now() + 1_500).toISOString() },
      ]),
    });
    assert.equal(reply.status, 200);
    await eventually("both are told", () => feishu.received.length > 1);
    assert.deepEqual(titles(), ["[WARNING] Short on node-1", "[RESOLVED] Short on node-1"]);
  });

  if (program !== undefined)
    it("come from a real one with the configuration that the documentation shows", async () => {
      const { host } = new URL(agent.url);
      const page = await readFile(
        new URL("../../../docs/alertmanager.md", import.meta.url),
        "utf8",
      );
      const shown = /```yaml\n# prometheus\.yml\n(.*?)```/s.exec(page)?.[1] ?? "";
      assert.match(shown, /node-1:8001.*<server\.token>/s);
      const prometheus = await startPrometheus(program, null, {
        config: `
global:
  evaluation_interval: 1s
rule_files: [rules.yml]
${shown.replace("node-1:8001", host).replace("<server.token>", token)}
`,
        rules: `
groups:
  - name: test
    rules:
      - alert: Watchdog
        expr: vector(1)
        labels: { severity: none }
      - alert: HighLatency
        # Until it has fired for ten evaluations: Prometheus drops alerts in its first five seconds, before it knows where to.
        expr: vector(2.5) unless on() count_over_time(ALERTS{alertname="HighLatency"}[1h]) > 10
        labels: { severity: critical, instance: "node-7:9100" }
        annotations:
          summary: It is {{ $value }}
          value: "{{ $value }}"
`,
      });
      try {
        await eventually("all is told", () => feishu.received.length >= 3, 30_000);
      } finally {
        await prometheus.stop();
      }
      const told = titles().toSorted();
      assert.equal(told.length, 3, told.join("\n"));
      assert.match(told[0] ?? "", /^\[CRITICAL\] HighLatency 2\.5 on node-7$/);
      assert.equal(told[1], "[INFO] Watchdog on node-1");
      assert.equal(told[2], "[RESOLVED] HighLatency on node-7");
    });
});
