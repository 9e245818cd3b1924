import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../../src/base/secret.ts";
import { parseSelector } from "../../../src/core/series.ts";
import type { RedisSettings } from "../../../src/store/redis/settings.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { freePort, redisSettings, startRedis } from "../../support/redis.ts";
import { startSentinels } from "../../support/redis-sentinel.ts";
import { connected, RedisBackends } from "../../support/redis-backends.ts";
import { seriesStore, wideRow } from "../../support/store.ts";
import { makeTls, writeTls } from "../../support/tls.ts";

const node = "prod/node-1";
const stepMs = 10_000;

describe("redis behind Sentinels", () => {
  let clock: ManualClock;

  const backends = new RedisBackends();
  const start = (settings: RedisSettings) => backends.start(settings, clock);

  beforeEach(() => {
    clock = new ManualClock(Math.ceil(Date.now() / 600_000) * 600_000);
  });
  afterEach(async () => {
    await backends.stop();
  });

  for (const [what, end] of [
    ["dies", "kill"],
    ["stands still", "freeze"],
  ] as const)
    it(`loses no row when the master ${what} and the replica that takes over is behind`, async () => {
      const sentinels = await startSentinels({ sentinels: 3 });
      const { master, replica } = sentinels;
      try {
        const { backend, kept } = start(sentinels.settings());
        await connected(backend, 20_000);
        const store = seriesStore(backend, clock, { log: kept.log });
        const fromMs = clock.now();
        let written = 0;
        const tick = async (): Promise<void> => {
          store.append(wideRow(clock.now(), { cpu: written++ % 100 }));
          await store.flush();
          await clock.advance(stepMs);
        };
        for (let n = 0; n < 5; n++) await tick();
        await sentinels.inSync();
        // What is written now never gets to the replica.
        replica.freeze();
        for (let n = 0; n < 7; n++) await tick();
        const epoch = backend.epoch();
        await master[end]();
        replica.thaw();
        await tick();
        await sentinels.promoted();
        await eventually(
          "everything is written",
          async () => {
            await tick();
            return backend.epoch() > epoch && store.counters().dirtyBlocks === 0;
          },
          20_000,
        );
        await tick();
        const reader = seriesStore(backend, clock, { node: "prod/reader" });
        const selectors = [parseSelector("cpu")];
        const data = await reader.read({ node, selectors, fromMs, toMs: clock.now() });
        assert.deepEqual(
          data.columns.get("cpu"),
          Array.from({ length: written }, (_, n) => n % 100),
        );
        assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
        assert.deepEqual(kept.of("info"), ["redis available again"]);
        assert.ok((await replica.client.keys("targetvpc:m:*")).length > 0);
      } finally {
        master.thaw();
        await sentinels.stop();
      }
    }).timeout(90_000);

  it("goes to the master by TLS and passwords of both, and to none without", async () => {
    const dir = await mkdtemp(join(tmpdir(), "targetvpc-tls-"));
    const files = writeTls(makeTls(), dir);
    const sentinels = await startSentinels({ tls: files, sentinelPassword: "of-the-sentinels" });
    try {
      const tls = { caFile: files.ca, certFile: files.cert, keyFile: files.key, serverName: null };
      const sentinelPassword = new Secret("of-the-sentinels");
      const { backend, kept } = start(sentinels.settings({ tls, sentinelPassword }));
      await connected(backend, 20_000);
      await backend.putDocument(node, "effective", "{}");
      assert.equal(await backend.getDocument(node, "effective"), "{}");
      assert.deepEqual(kept.lines, []);
      for (const [changes, reason] of [
        [{ tls: { ...tls, caFile: null }, sentinelPassword }, /self-signed|issuer|unable to/i],
        [{ tls, sentinelPassword: new Secret("of-nobody") }, /WRONGPASS/],
        [{ tls }, /NOAUTH/],
        [{ tls, sentinelPassword, sentinelName: "other" }, /sentinel/i],
      ] as const) {
        const { backend, kept } = start(sentinels.settings(changes));
        await eventually("it is down", () => backend.status().status === "down");
        assert.match(kept.text(), reason);
        assert.doesNotMatch(kept.text(), /of-nobody/);
      }
    } finally {
      await sentinels.stop();
      await rm(dir, { recursive: true });
    }
  }).timeout(60_000);

  it("says that a Sentinel or a replica is no place to write to", async () => {
    const sentinels = await startSentinels();
    try {
      for (const [port, reason] of [
        [sentinels.ports[0]!, /redis\.sentinels/],
        [sentinels.replica.port, /read-only replica of 127\.0\.0\.1:\d+: redis\.host/],
      ] as const) {
        const { backend, kept } = start(sentinels.settings({ sentinels: [], port }));
        await eventually("it is down", () => backend.status().status === "down");
        await assert.rejects(backend.nodes(), reason);
        await new Promise((resolve) => setTimeout(resolve, 500));
        assert.deepEqual(kept.of("warn"), ["redis unavailable"], "once");
        assert.deepEqual(kept.of("info"), []);
      }
    } finally {
      await sentinels.stop();
    }
  }).timeout(60_000);

  it("notices that its server has become a replica, and that it is the master again", async () => {
    const [own, other] = [await startRedis(), await startRedis()];
    try {
      const { backend, kept } = start(own.settings());
      await connected(backend, 20_000);
      await own.client.replicaof("127.0.0.1", other.port);
      await assert.rejects(backend.putDocument(node, "effective", "{}"), /READONLY/);
      await eventually("it is down", () => backend.status().status === "down");
      assert.match(kept.text(), /READONLY/);
      await own.client.replicaof("NO", "ONE");
      await connected(backend, 20_000);
      await backend.putDocument(node, "effective", "{}");
      assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
    } finally {
      await Promise.all([own.stop(), other.stop()]);
    }
  });

  it("says that no Sentinel is there, and stops at once all the same", async () => {
    const gone = { host: "127.0.0.1", port: await freePort() };
    const { backend, kept } = start(
      redisSettings(1, { sentinels: [gone], sentinelName: "mymaster" }),
    );
    await eventually("it is down", () => backend.status().status === "down");
    assert.match(kept.text(), /ECONNREFUSED|sentinels are unreachable/);
    assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
  });
});
