import assert from "node:assert/strict";
import { startAgent, type Agent } from "./support/agent.ts";
import { eventually } from "./support/clock.ts";
import { startDingtalk, startFeishu, type Robot } from "./support/robots.ts";

const hourMs = 3_600_000;

interface Case {
  readonly what: string;
  /** How far the services' clocks are ahead of the agent's. */
  readonly offsetMs: number;
  readonly words: RegExp;
}

const cases: readonly Case[] = [
  {
    what: "two hours behind",
    offsetMs: 2 * hourMs,
    words: /this node's clock is 7(199|20\d) s behind the service's/,
  },
  {
    what: "two hours ahead",
    offsetMs: -2 * hourMs,
    words: /this node's clock is 7(199|20\d) s ahead of the service's/,
  },
];

type Receipts = { items: { channel: string; outcome: string; code: string; message: string }[] };

describe("a node whose clock is wrong", function () {
  this.timeout(60_000);
  const stops: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop();
  });

  /** An agent with one channel whose robot lives in another time. */
  async function withRobot(
    type: string,
    start: typeof startFeishu,
    offsetMs: number,
  ): Promise<{ agent: Agent; robot: Robot }> {
    const secret = "a-signing-secret";
    const robot = await start({ secret, clock: { now: () => Date.now() + offsetMs } });
    stops.push(() => robot.close());
    const agent = await startAgent({
      config: {
        storage: { backend: "memory" },
        kubernetes: { enabled: false },
        alerts: {
          language: "en",
          default_rules: false,
          channels: [{ type, name: "robot", webhook_url: robot.url, secret }],
        },
      },
    });
    stops.push(() => agent.stop());
    return { agent, robot };
  }

  for (const { what, offsetMs, words } of cases)
    for (const [type, start, code] of [
      ["feishu", startFeishu, "19021"],
      ["dingtalk", startDingtalk, "310000"],
    ] as const)
      it(`and ${what} learns so from ${type}, in receipt, log and /health`, async () => {
        const { agent, robot } = await withRobot(type, start, offsetMs);
        const timestamp = Math.floor(Date.now() / 1_000);
        await agent.post("/api/alert", { index: "x", threshold: 1, current_value: 2, timestamp });
        let receipt: Receipts["items"][number] | undefined;
        await eventually("the message is refused", async () => {
          const { json } = await agent.get("/api/deliveries?channel=robot");
          receipt = (json as Receipts).items[0];
          return receipt?.outcome === "refused";
        });
        assert.equal(receipt?.code, code);
        assert.match(receipt?.message ?? "", words);
        const line = agent.lines().find(({ event }) => event === "channel.failing");
        assert.equal(line?.["code"], code);
        assert.match(String(line?.["reason"]), words);
        const { components } = (await agent.get("/health")).json as {
          components: { channels: { status: string; last_error: string } };
        };
        assert.notEqual(components.channels.status, "ok");
        assert.match(components.channels.last_error, words);
        assert.equal(robot.received.length, 0);
      });

  it("by less than the hour that signatures are valid is understood", async () => {
    const { agent, robot } = await withRobot("feishu", startFeishu, hourMs / 2);
    const { json } = await agent.post("/api/channels/robot/test", {});
    assert.equal((json as { outcome: string }).outcome, "sent");
    assert.equal(robot.received.length, 1);
  });
});
