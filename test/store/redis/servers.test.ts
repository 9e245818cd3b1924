import assert from "node:assert/strict";
import fc from "fast-check";
import { createDrift } from "../../../src/drift.ts";
import { AgentError } from "../../../src/core/errors.ts";
import type { Backend } from "../../../src/store/contract.ts";
import { redirection, slotOf } from "../../../src/store/redis/cluster-slots.ts";
import { placeOf } from "../../../src/store/redis/commands.ts";
import { createConnection } from "../../../src/store/redis/connection.ts";
import { createRedisBackend } from "../../../src/store/redis/index.ts";
import { factsOf, lacksOf } from "../../../src/store/redis/server.ts";
import { redisTarget } from "../../../src/store/redis/settings.ts";
import { Secret } from "../../../src/base/secret.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { recordLog } from "../../support/log.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { startCluster } from "../../support/redis-cluster.ts";

const prefix = "targetvpc";

describe("a connection to redis", () => {
  let server: TestRedis;
  let clock: ManualClock;
  const stops: (() => Promise<unknown>)[] = [];

  const connect = async (changes = {}) => {
    const kept = recordLog();
    const target = redisTarget(server.settings(changes));
    const connection = createConnection(target, { clock, log: kept.log, prefix });
    stops.push(() => connection.stop());
    connection.start();
    await eventually("it is connected", () => connection.status().status !== "starting");
    return { connection, kept };
  };

  beforeEach(async () => {
    server = await startRedis();
    clock = new ManualClock(Date.now());
  });
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
    server.thaw();
    await server.stop();
  });

  it("takes ten thousand questions to a frozen server with two timers and little memory, and answers all", async () => {
    const { connection } = await connect();
    await connection.run([["hset", `${prefix}:x`, "a", "b"]]);
    const blob = Buffer.alloc(2_000, 1);
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
    const before = timers();
    server.freeze();
    const began = performance.now();
    const usedBytes = process.memoryUsage().rss;
    let refused = 0;
    const ask = (): Promise<unknown> =>
      connection
        .run([
          ["hset", `${prefix}:x`, "a", blob],
          ["expire", `${prefix}:x`, 60],
        ])
        .catch((cause: unknown) => {
          assert.ok(cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE");
          refused++;
        });
    const all = Array.from({ length: 10_000 }, ask);
    assert.ok(timers() - before <= 2, `${timers() - before} timers`);
    const grownBytes = process.memoryUsage().rss - usedBytes;
    assert.ok(grownBytes < 60e6, `${grownBytes} bytes`);
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    const late = performance.now();
    await ask();
    assert.ok(performance.now() - late < 100, "nothing more is sent meanwhile");
    await Promise.all(all);
    assert.equal(refused, 10_001);
    assert.ok(performance.now() - began < 5_000);
    assert.ok(timers() - before <= 2);
    server.thaw();
    const again = (): Promise<boolean> =>
      connection.run([["hset", `${prefix}:x`, "a", "b"]]).then(
        () => true,
        () => false,
      );
    await eventually("it goes on", again, 15_000);
    assert.equal(connection.status().status, "ok");
  }).timeout(40_000);

  it("keeps what it has until a changed access works, and then uses that alone", async () => {
    const { client } = server;
    await client.call("ACL", "SETUSER", "agent", "on", ">first", "~*", "+@all");
    const access = (password: string) => ({ username: "agent", password: new Secret(password) });
    const { connection, kept } = await connect(access("first"));
    const epoch = connection.epoch();
    connection.retarget(redisTarget(server.settings(access("second"))));
    await eventually("it is refused", () => kept.of("warn").length === 1);
    await connection.run([["hset", `${prefix}:x`, "a", "1"]]);
    assert.equal(connection.status().status, "ok");
    assert.deepEqual(kept.of("warn"), ["changed redis settings do not work yet"]);
    await client.call("ACL", "SETUSER", "agent", ">second");
    await eventually("it has gone over", () => connection.epoch() > epoch);
    await client.call("ACL", "SETUSER", "agent", "<first");
    await connection.run([["hset", `${prefix}:x`, "a", "2"]]);
    await eventually("the old one is gone", async () => {
      const list = String(await client.client("LIST"));
      return list.match(/user=agent/g)?.length === 1;
    });
    assert.deepEqual(kept.of("warn"), ["changed redis settings do not work yet"]);
    assert.doesNotMatch(kept.text(), /first|second/);
  });

  it("says that a full server would drop the newest history", async () => {
    await server.client.config("SET", "maxmemory", "100mb");
    await server.client.config("SET", "maxmemory-policy", "allkeys-random");
    const { connection, kept } = await connect();
    await eventually("it is said", () => kept.of("warn").length === 1);
    assert.match(kept.text(), /allkeys-random.*volatile-ttl/);
    assert.equal(connection.status().status, "ok");
    assert.match(connection.status().lastError ?? "", /allkeys-random/);
  });

  it("refuses commands of several slots also where one server has them all", async () => {
    const { connection } = await connect();
    await assert.rejects(
      connection.run([
        ["hset", "p:a:{n1}", "a", "b"],
        ["hset", "p:a:{n2}", "a", "b"],
      ]),
      TypeError,
    );
  });

  it("tells once how far the clocks are apart, after each jump, and when they agree again", async () => {
    const kept = recordLog();
    clock = new ManualClock(Date.now() + 60_000);
    const deps = { clock, log: kept.log, retentionDays: () => 7 };
    const backend: Backend = createRedisBackend(server.settings(), deps);
    stops.push(() => backend.stop());
    backend.start();
    await eventually("it is connected", () => backend.status().status === "ok");
    const drift = createDrift(backend, { clock, log: kept.log });
    await drift.check();
    assert.match(
      drift.problem ?? "",
      /^this node's clock is (59|60)\.\d s ahead of that of redis$/,
    );
    await drift.check();
    assert.deepEqual(kept.of("warn"), ["clock differs from that of redis"]);
    clock.jump(-60_000);
    await drift.check();
    assert.equal(drift.problem, null);
    assert.deepEqual(kept.of("info"), ["clock agrees with that of redis again"]);
    clock.jump(-420_000);
    await drift.check();
    assert.match(drift.problem ?? "", /behind/);
    assert.equal(kept.of("warn").length, 2);
  });
});

describe("what a server says of itself", () => {
  const facts = (...lines: string[]) => factsOf([[null, lines.join("\r\n")]]);
  const kinds = (...lines: string[]): string[] =>
    lacksOf(facts(...lines), "server").map(({ kind }) => kind);

  it("is judged by version, mode and eviction", () => {
    assert.deepEqual(kinds("redis_version:6.0.16"), ["version"]);
    assert.deepEqual(kinds("redis_version:6.2.0", "redis_mode:standalone"), []);
    assert.deepEqual(kinds("redis_version:7.2.4", "valkey_version:9.1.2"), []);
    assert.deepEqual(kinds("redis_mode:cluster"), ["mode"]);
    assert.deepEqual(kinds("maxmemory:1", "maxmemory_policy:volatile-random"), ["eviction"]);
    assert.deepEqual(kinds("maxmemory:0", "maxmemory_policy:allkeys-random"), []);
    assert.deepEqual(lacksOf(facts("redis_mode:cluster"), "cluster"), []);
  });

  it("may be nothing", () => {
    const told = factsOf([[new Error("NOPERM")], [null, ""]]);
    assert.deepEqual(lacksOf(told, "server"), []);
    assert.equal(told.copyOf, null);
    assert.equal(facts("role:slave", "slave_read_only:0").copyOf, null);
    assert.equal(facts("role:slave", "master_host:h", "master_port:1").copyOf, "h:1");
  });
});

describe("slots of a cluster", () => {
  it("are those that Redis computes", async () => {
    const cluster = await startCluster({ masters: 1 });
    try {
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1 }), async (node) => {
          const key = `targetvpc:a:{${encodeURIComponent(node.toWellFormed())}}`;
          const place = placeOf([["hgetall", key]]);
          assert.equal(slotOf(place ?? ""), await cluster.slotOf(key));
          const plain = node.replaceAll("{", "");
          assert.equal(slotOf(placeOf([["hgetall", plain]]) ?? ""), await cluster.slotOf(plain));
        }),
      );
    } finally {
      await cluster.stop();
    }
  });

  it("are found where a redirection says", () => {
    const teller = { host: "10.0.0.1", port: 1 };
    const to = (message: string) => redirection(message, teller)?.to;
    assert.deepEqual(to("MOVED 1 10.0.0.2:7000"), { host: "10.0.0.2", port: 7_000 });
    assert.deepEqual(to("ASK 1 ::1:7000"), { host: "::1", port: 7_000 });
    assert.deepEqual(to("MOVED 1 :7000"), { host: "10.0.0.1", port: 7_000 });
    assert.equal(to("TRYAGAIN Multiple keys request during rehashing of slot"), undefined);
  });
});
