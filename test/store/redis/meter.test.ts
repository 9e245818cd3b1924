import assert from "node:assert/strict";
import { systemClock } from "../../../src/base/clock.ts";
import type { Meter, RateLimit } from "../../../src/core/delivery.ts";
import { ManualClock } from "../../support/clock.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { connected, RedisBackends } from "../../support/redis-backends.ts";

describe("robots that many agents share", () => {
  let server: TestRedis;
  const backends = new RedisBackends();
  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  afterEach(() => backends.stop());

  /** The meters of some agents, whose own clocks are hours apart. */
  const agents = async (count: number, prefix: string): Promise<readonly Meter[]> =>
    Promise.all(
      Array.from({ length: count }, async (_, hours) => {
        const clock = new ManualClock(Date.now() + hours * 3_600_000);
        const { backend } = backends.start(server.settings({ prefix }), clock);
        await connected(backend);
        return backend.meter;
      }),
    );

  it("are sent no more than their limits by all of them together, in any window", async () => {
    const limits: RateLimit[] = [
      { count: 4, perMs: 300 },
      { count: 12, perMs: 1_200 },
    ];
    /** When the robot counted a message: somewhere between its departure and its reply. */
    const counted: number[] = [];
    const send = async (meter: Meter, n: number): Promise<void> => {
      for (;;) {
        const leave = await meter.take("robot", limits);
        if ("waitMs" in leave) {
          await systemClock.sleep(leave.waitMs);
          continue;
        }
        const onTheWayMs = (n * 7) % 40;
        await systemClock.sleep(onTheWayMs / 2);
        counted.push(performance.now());
        await systemClock.sleep(onTheWayMs / 2);
        return leave.arrived();
      }
    };
    const all = await agents(5, "shared");
    await Promise.all(
      all.flatMap((meter, at) => Array.from({ length: 6 }, (_, n) => send(meter, at * 6 + n))),
    );
    assert.equal(counted.length, 30);
    for (const { count, perMs } of limits)
      for (const [at, firstMs] of counted.entries()) {
        const afterMs = counted[at + count];
        if (afterMs !== undefined)
          assert.ok(afterMs - firstMs >= perMs, `${count + 1} in ${perMs}`);
      }
  });

  it("count a message of an agent that died with it for as long as it may have been on its way", async () => {
    const [one, other] = await agents(2, "died");
    const limits = [{ count: 1, perMs: 60_000 }];
    assert.ok(one && other && "arrived" in (await one.take("robot", limits)));
    const leave = await other.take("robot", limits);
    assert.deepEqual(leave, { waitMs: 60_000 });
    const [key = ""] = await server.client.keys("died:*}");
    const [, countedMs] = await server.client.zrange(key, "0", "-1", "WITHSCORES");
    const [seconds = 0] = (await server.client.time()).map(Number);
    assert.ok(Math.abs(Number(countedMs) - seconds * 1_000 - 10_000) < 2_000);
  });

  it("leave nothing behind without an expiry", async () => {
    const [meter] = await agents(1, "expiry");
    assert.ok(meter);
    await meter.take("robot", [{ count: 1, perMs: 60_000 }]);
    await meter.hold("another", 1_000);
    const keys = await server.client.keys("expiry:*");
    assert.equal(keys.length, 3);
    for (const key of keys) assert.ok((await server.client.ttl(key)) > 0, key);
  });
});
