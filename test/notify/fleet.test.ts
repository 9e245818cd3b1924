import assert from "node:assert/strict";
import { systemClock } from "../../src/base/clock.ts";
import { createHttpClient } from "../../src/base/http.ts";
import { createRedactor } from "../../src/base/secret.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { createFleetMeter } from "../../src/notify/meter.ts";
import { createNotifier, type Notifier } from "../../src/notify/notifier.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { eventually } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { openOutbox } from "../support/outbox.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { connected } from "../support/redis-backends.ts";
import { startDingtalk, type Robot } from "../support/robots.ts";
import { message, sourced, spec } from "./kit.ts";

describe("a fleet with one robot", () => {
  let server: TestRedis;
  let robot: Robot;
  const stops: (() => Promise<unknown>)[] = [];
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    await server.client.flushall();
    robot = await startDingtalk();
    stops.push(() => robot.close());
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).toReversed()) await stop();
  });

  /** One agent's way from a decision to the robot. */
  const agent = async (name: string, more: Record<string, unknown> = {}): Promise<Notifier> => {
    const { log } = recordLog();
    const deps = { clock: systemClock, log, retentionDays: () => 7 };
    const backend = createRedisBackend(server.settings(), deps);
    backend.start();
    stops.push(() => backend.stop());
    await connected(backend);
    const http = createHttpClient();
    stops.push(async () => http.close());
    const { outbox: shared, receipts } = backend;
    const outbox = openOutbox({ clock: systemClock, log, receipts, shared });
    const notifier = createNotifier({
      plugins: channelPlugins,
      outbox,
      receipts,
      meter: createFleetMeter({ meter: backend.meter, clock: systemClock, log }),
      clock: systemClock,
      log,
      http,
      redactor: createRedactor(),
      random: Math.random,
      language: () => "en",
      node: { cluster: "prod", name, ip: "192.0.2.1" },
    });
    stops.push(() => notifier.stop(0));
    const own = more["type"] === undefined ? { type: "dingtalk", webhook_url: robot.url } : {};
    notifier.configure([sourced(spec({ ...own, ...more }))]);
    return notifier;
  };

  it("never sends it more than it takes, however many alert at once", async () => {
    const agents = await Promise.all(Array.from({ length: 8 }, (_, at) => agent(`node-${at}`)));
    const outcomes = await Promise.all(
      agents.flatMap((one) => Array.from({ length: 5 }, () => one.test("dingtalk"))),
    );
    const codes = outcomes.map((outcome) => outcome?.code);
    assert.equal(codes.filter((code) => code === "0").length, 18);
    assert.equal(codes.filter((code) => code === "rate_limited").length, 22);
    const statesNow = async () => (await Promise.all(agents.map((one) => one.states()))).flat();
    const states = await statesNow();
    for (const { tokensLeft, sentToday, status } of states)
      assert.deepEqual([tokensLeft, sentToday, status.status], [0, 18, "ok"]);
    assert.deepEqual(new Set(robot.answers), new Set([0]));
    assert.equal(robot.requests(), 18);
  });

  it("leaves it alone when it refused one of them for the rate", async () => {
    const [first, second] = [await agent("node-a"), await agent("node-b")];
    // Somebody who is not metered.
    for (let n = 0; n < 21; n++)
      await fetch(robot.url, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ msgtype: "markdown", markdown: { title: "t", text: `告警 ${n}` } }),
      });
    const before = robot.requests();
    await first.notify(message(), null);
    await eventually("it was refused", () => robot.requests() === before + 1);
    await eventually("it is closed", async () => (await second.states())[0]?.tokensLeft === 0);
    await second.notify(message(), null);
    await eventually("both wait", async () => (await second.states())[0]?.pending === 2);
    assert.equal(robot.requests(), before + 1, "nobody else asks");
    assert.equal((await first.test("dingtalk"))?.code, "rate_limited");
  });

  it("keeps to a lower rate where one is set, counting what the others sent", async () => {
    const [free, careful] = [await agent("node-a"), await agent("node-b", { max_per_minute: 5 })];
    for (let n = 0; n < 3; n++) await free.test("dingtalk");
    for (const code of ["0", "0", "rate_limited"])
      assert.equal((await careful.test("dingtalk"))?.code, code);
    assert.equal(robot.received.length, 5);
    assert.equal((await careful.states())[0]?.tokensLeft, 0);
    assert.equal((await free.states())[0]?.tokensLeft, 13);
  });

  it("sends what an agent left behind that died while the robot let nobody in", async () => {
    const dead = await agent("node-a");
    robot.respondWith({ body: { errcode: -1, errmsg: "system busy" } });
    await dead.notify(message(), null);
    await eventually("it was not let in", () => robot.requests() === 1);
    await dead.stop(0);
    robot.respondWith(null);
    const next = await agent("node-b");
    await eventually("it arrived", () => robot.received.length === 1, 20_000);
    await eventually("it is settled", async () => (await next.states())[0]?.pending === 0);
  });

  it("keeps to itself what must be told again and again by who knows of it", async () => {
    const one = await agent("node-a", { type: "alertmanager", urls: ["http://127.0.0.1:9"] });
    await one.notify(message(), null);
    await eventually("it waits", async () => (await one.states())[0]?.pending === 1);
    assert.deepEqual(await server.client.keys("*:q:*"), []);
  });
});
