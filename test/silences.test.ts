import assert from "node:assert/strict";
import { startAgent, type Agent } from "./support/agent.ts";
import { eventually } from "./support/clock.ts";
import { startRedis, type TestRedis } from "./support/redis.ts";
import { startFeishu, type Robot } from "./support/robots.ts";

interface Listed {
  readonly items: readonly { readonly node: string; readonly silenced_by: unknown }[];
}

describe("a silence in a fleet", function () {
  this.timeout(30_000);
  let redis: TestRedis;
  let robot: Robot;
  const agents: Agent[] = [];

  before(async () => {
    redis = await startRedis();
    robot = await startFeishu();
  });
  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
  });
  after(async () => {
    await robot.close();
    await redis.stop();
  });

  const start = async (name: string): Promise<Agent> => {
    const channels = [{ type: "feishu", webhook_url: robot.url, enabled: true }];
    const inhibit = [{ when: "api-down", mutes: "api-*" }];
    const agent = await startAgent({
      config: {
        redis: { host: "127.0.0.1", port: redis.port },
        alerts: { default_rules: false, channels, inhibit },
      },
      env: { NODE_NAME: name, CLUSTER_NAME: "lab" },
    });
    agents.push(agent);
    await eventually(
      "redis is there",
      async () => (await agent.get("/api/silences")).status === 200,
    );
    return agent;
  };
  const alert = (agent: Agent, index: string): Promise<{ json: unknown }> => {
    const timestamp = Math.floor(Date.now() / 1_000);
    return agent.post("/api/alert", { index, threshold: 1, current_value: 2, timestamp });
  };

  it("holds for an agent that never heard of it, is shown by it, and is ended by it", async () => {
    const [one, other] = [await start("one"), await start("other")];
    const made = await one.post("/api/silences", {
      matchers: { node: "lab/ot*" },
      duration: "1h",
      author: "ada",
      comment: "an upgrade",
    });
    assert.equal(made.status, 201);
    const { id } = made.json as { id: string };
    const held = (await alert(other, "queue")).json as { status: string; reason: string };
    assert.deepEqual([held.status, held.reason], ["suppressed", `silenced: silence ${id}`]);
    assert.equal(((await alert(one, "queue")).json as { status: string }).status, "accepted");
    const { items } = (await other.get("/api/alerts")).json as Listed;
    assert.deepEqual(
      items.map(({ node, silenced_by }) => [node, silenced_by]),
      [["other", { reason: "silenced", id }]],
    );
    const ended = await fetch(`${other.url}/api/silences/${id}`, {
      method: "DELETE",
      headers: { "Content-Type": "application/json" },
    });
    assert.equal(ended.status, 200);
    assert.equal(((await alert(other, "queue")).json as { status: string }).status, "accepted");
    await eventually("both are told", () => robot.received.length === 2);
  });

  it("is one way among others: an alert of the same node inhibits", async () => {
    const agent = await start("third");
    assert.equal(((await alert(agent, "down")).json as { status: string }).status, "accepted");
    const { status, reason } = (await alert(agent, "queue")).json as Record<string, string>;
    assert.equal(status, "suppressed");
    assert.match(reason ?? "", /^inhibited: incident [0-9a-f-]+ on the same node$/);
  });
});
