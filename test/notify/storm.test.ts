import assert from "node:assert/strict";
import { eventually } from "../support/clock.ts";
import { startFleet, strike, type FleetAgent } from "../support/fleet.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startDingtalk, startFeishu, type Robot } from "../support/robots.ts";

describe("a storm", () => {
  let server: TestRedis;
  const stops: (() => Promise<unknown>)[] = [];
  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await Promise.all(stops.toReversed().map((stop) => stop()));
    await server.stop();
  });

  const fleet = async (
    names: readonly string[],
    robots: readonly Robot[],
    prefix: string,
  ): Promise<readonly FleetAgent[]> => {
    const { agents, stop } = await startFleet(names, { server, robots, prefix });
    stops.push(stop);
    return agents;
  };

  const named = (robot: Robot, names: readonly string[], from: number): string[] => {
    const texts = robot.received.slice(from).map(({ text }) => text);
    const words = new Set(texts.flatMap((text) => text.split(/[^\w-]+/)));
    return names.filter((name) => words.has(name));
  };

  /** In a text, no critical node comes after one that is not. */
  const isOrdered = (text: string, agents: readonly FleetAgent[]): boolean => {
    const places = (wanted: boolean): number[] =>
      agents
        .filter(({ level }) => (level === "critical") === wanted)
        .flatMap(({ node }) => {
          const place = text.search(new RegExp(`(?<![\\w-])${node}(?![\\w-])`));
          return place < 0 ? [] : [place];
        });
    return Math.max(-1, ...places(true)) < Math.min(Infinity, ...places(false));
  };

  const robotsOf = async (latencyMs: number): Promise<readonly Robot[]> => {
    const robots = [await startDingtalk({ latencyMs }), await startFeishu({ latencyMs })];
    stops.push(...robots.map((robot) => () => robot.close()));
    return robots;
  };

  /** 200 nodes alert, and recover; every robot tells it whole. */
  const storm = async (latencyMs: number): Promise<void> => {
    const robots = await robotsOf(latencyMs);
    const names = Array.from({ length: 200 }, (_, at) => `node-${String(at).padStart(3, "0")}`);
    const agents = await fleet(names, robots, `storm-${latencyMs}`);
    for (const kind of ["firing", "resolved"] as const) {
      const from = robots.map(({ received }) => received.length);
      await strike(agents, kind);
      const beganMs = Date.now();
      for (const [at, robot] of robots.entries()) {
        await eventually(
          "everybody is named",
          () => named(robot, names, from[at] ?? 0).length === names.length,
          20_000 - (Date.now() - beganMs),
        );
        const told = robot.received.slice(from[at]);
        assert.ok(told.length <= 5, `${told.length} messages`);
        assert.deepEqual(new Set(robot.answers), new Set([0]), "nothing was refused");
        for (const { text } of told) assert.ok(isOrdered(text, agents), text.slice(0, 200));
      }
    }
    await eventually("every receipt is settled", async () => {
      const [one] = agents;
      const states = (await one?.notifier.states()) ?? [];
      return states.every(({ pending }) => pending === 0);
    });
  };

  it("of 200 nodes is told whole in a few messages, and so is its end, by robots that answer at once, after 150 ms and after 5 s", () =>
    Promise.all([0, 150, 5_000].map(storm)).then(() => {})).timeout(120_000);

  it("of 1,000 nodes with long names is told whole within a minute", async () => {
    const robots = await robotsOf(150);
    const names = Array.from({ length: 1_000 }, (_, at) =>
      `ip-10-0-0-${at}-eu-central-1-compute-internal`.padEnd(40, "x").slice(0, 40),
    ).map((name, at) => `${name.slice(0, 36)}${String(at).padStart(4, "0")}`);
    assert.equal(new Set(names).size, 1_000);
    const agents = await fleet(names, robots, "storm-1000");
    await strike(agents, "firing");
    const beganMs = Date.now();
    for (const robot of robots) {
      await eventually(
        "all are accounted for",
        () => {
          const counted = robot.received
            .flatMap(({ text }) => [...text.matchAll(/(\d+) more/g)])
            .reduce((sum, [, count]) => sum + Number(count), 0);
          return named(robot, names, 0).length + counted === names.length;
        },
        60_000 - (Date.now() - beganMs),
      );
      assert.deepEqual(new Set(robot.answers), new Set([0]), "nothing was refused");
      const counting = robot.received.filter(({ text }) => /\d+ more/.test(text));
      for (const { text } of counting) assert.ok(text.includes("https://alerts.example"), text);
    }
  }).timeout(180_000);
});
