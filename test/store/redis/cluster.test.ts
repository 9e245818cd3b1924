import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseSelector } from "../../../src/core/series.ts";
import type { SeriesStore } from "../../../src/store/contract.ts";
import { createKeys } from "../../../src/store/redis/keys.ts";
import type { RedisSettings } from "../../../src/store/redis/settings.ts";
import { dayOf } from "../../../src/store/slots.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { startCluster, type TestCluster } from "../../support/redis-cluster.ts";
import { connected, RedisBackends } from "../../support/redis-backends.ts";
import { seriesStore, wideRow } from "../../support/store.ts";
import { makeTls, writeTls } from "../../support/tls.ts";

const node = "prod/node-1";
const stepMs = 10_000;
const keys = createKeys("targetvpc");

describe("redis cluster", () => {
  let clock: ManualClock;

  const backends = new RedisBackends();
  const start = (settings: RedisSettings) => backends.start(settings, clock);
  const cpu = async (store: SeriesStore, of = node): Promise<readonly unknown[]> => {
    const selectors = [parseSelector("cpu")];
    const data = await store.read({ node: of, selectors, fromMs: 0, toMs: clock.now() });
    return data.columns.get("cpu") ?? [];
  };

  beforeEach(() => {
    clock = new ManualClock(Math.ceil(Date.now() / 600_000) * 600_000);
  });
  afterEach(async () => {
    await backends.stop();
  });

  describe("of three masters", () => {
    let cluster: TestCluster;

    before(async () => {
      cluster = await startCluster();
    });
    after(() => cluster.stop());
    beforeEach(() =>
      cluster.servers.reduce(
        (done, { client }) => done.then(() => client.flushall()),
        Promise.resolve(""),
      ),
    );

    it("keeps everything where it belongs, and says nothing of it", async () => {
      const { backend, kept } = start(cluster.settings());
      await connected(backend);
      for (let n = 0; n < 30; n++) {
        const store = seriesStore(backend, clock, { node: `prod/node-${n}` });
        store.append(wideRow(clock.now(), { cpu: n }));
        await store.flush();
        const info = { cluster: "prod", name: `node-${n}`, ip: "10.0.0.1", version: "1" };
        await backend.heartbeat({ ...info, lastSeenMs: clock.now() });
      }
      const reader = seriesStore(backend, clock, { node: "prod/reader" });
      for (let n = 0; n < 30; n++) assert.deepEqual(await cpu(reader, `prod/node-${n}`), [n]);
      assert.equal((await backend.nodes()).length, 30);
      const sizes = await Promise.all(cluster.servers.map(({ client }) => client.dbsize()));
      assert.ok(
        sizes.every((size) => size >= 5),
        `keys on each: ${sizes.join()}`,
      );
      assert.deepEqual(kept.lines, []);
    });

    it("shows no error and loses nothing while the slot in use moves around", async () => {
      const { backend, kept } = start(cluster.settings());
      await connected(backend);
      const store = seriesStore(backend, clock, { log: kept.log });
      const reader = seriesStore(backend, clock, { node: "prod/reader", log: kept.log });
      const slot = await cluster.slotOf(keys.states(node));
      let written = 0;
      const tick = async (): Promise<void> => {
        store.append(wideRow(clock.now(), { cpu: written % 100 }));
        await store.flush();
        await backend.states(node).save(new Map([["tick", String(written)]]));
        await backend.putDocument(node, "effective", JSON.stringify({ written }));
        written++;
        await clock.advance(stepMs);
        assert.equal(store.counters().dirtyBlocks, 0, "it was written");
        assert.equal((await cpu(reader)).length, written, "all of it is read");
        assert.equal((await backend.states(node).load()).get("tick"), String(written - 1));
      };
      await tick();
      for (let round = 0; round < 9; round++) {
        const owner = await cluster.ownerOf(slot);
        const at = cluster.servers.indexOf(owner);
        const moving = { done: false };
        const move = cluster
          .moveSlot(slot, cluster.servers[(at + 1) % 3]!, async () => {
            await new Promise((resolve) => setTimeout(resolve, 15));
          })
          .finally(() => (moving.done = true));
        while (!moving.done) await tick();
        await move;
        await tick();
      }
      const expected = Array.from({ length: written }, (_, n) => n % 100);
      assert.deepEqual(await cpu(reader), expected);
      assert.deepEqual(kept.lines, []);
      const key = keys.day("blocks", node, dayOf(clock.now() - stepMs));
      assert.ok((await cluster.client.ttl(key)) > 0, "it still expires");
    }).timeout(60_000);

    it("finds a slot at a node that was not there before, while it is on its way", async () => {
      const own = await startCluster({ masters: 2 });
      try {
        const { backend, kept } = start(own.settings());
        await connected(backend);
        await backend.putDocument(node, "effective", "1");
        const another = await own.join();
        const slot = await own.slotOf(keys.documents(node));
        await own.moveSlot(slot, another, async () => {
          await backend.putDocument(node, "admin", "2");
          await backend.states(node).save(new Map([["a", "b"]]));
          assert.equal(await backend.getDocument(node, "admin"), "2");
        });
        assert.equal(await backend.getDocument(node, "effective"), "1");
        assert.equal((await backend.states(node).load()).get("a"), "b");
        assert.deepEqual(kept.lines, []);
      } finally {
        await own.stop();
      }
    });
  });

  it("gives up on a frozen node as on a frozen server, and serves what lies elsewhere", async () => {
    const cluster = await startCluster({ nodeTimeoutMs: 30_000 });
    const { backend, kept } = start(cluster.settings());
    await connected(backend);
    const slots = await Promise.all(
      Array.from({ length: 30 }, (_, n) => cluster.slotOf(keys.documents(`prod/n${n}`))),
    );
    const owners = await Promise.all(slots.map((slot) => cluster.ownerOf(slot)));
    const frozen = owners[0]!;
    const elsewhere = owners.findIndex((owner) => owner !== frozen);
    await backend.putDocument("prod/n0", "admin", "{}");
    frozen.freeze();
    try {
      const began = performance.now();
      await assert.rejects(backend.putDocument("prod/n0", "admin", "{}"), /no answer in 3 s/);
      assert.ok(performance.now() - began < 4_000);
      await backend.putDocument(`prod/n${elsewhere}`, "admin", "{}");
      assert.equal(await backend.getDocument(`prod/n${elsewhere}`, "admin"), "{}");
      assert.equal(backend.status().status, "down", "what was missing is still missing");
    } finally {
      frozen.thaw();
    }
    await eventually("it is back", () =>
      backend.putDocument("prod/n0", "admin", "{}").then(
        () => true,
        () => false,
      ),
    );
    assert.equal(backend.status().status, "ok");
    assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
    assert.deepEqual(kept.of("info"), ["redis available again"]);
    await cluster.stop();
  }).timeout(30_000);

  it("goes on with the replica of a master that was killed, and writes again what that did not have", async () => {
    const cluster = await startCluster({ replicas: 1, nodeTimeoutMs: 500 });
    try {
      const { backend, kept } = start(cluster.settings());
      await connected(backend);
      const store = seriesStore(backend, clock, { log: kept.log });
      const owner = await cluster.ownerOf(await cluster.slotOf(keys.states(node)));
      const copy = cluster.servers[cluster.servers.indexOf(owner) + 3]!;
      let written = 0;
      const tick = async (): Promise<void> => {
        store.append(wideRow(clock.now(), { cpu: written++ % 100 }));
        await store.flush();
        await clock.advance(stepMs);
      };
      for (let n = 0; n < 5; n++) await tick();
      const epoch = backend.epoch();
      // Its copy stands still while seven ticks are written, and knows nothing of them.
      copy.freeze();
      for (let n = 0; n < 7; n++) await tick();
      await owner.kill();
      copy.thaw();
      await tick();
      await eventually(
        "its replica is the master",
        async () => (await copy.client.info("replication")).includes("role:master"),
        30_000,
      );
      await eventually("everything is written", async () => {
        await tick();
        return store.counters().dirtyBlocks === 0;
      });
      await tick();
      assert.ok(backend.epoch() > epoch);
      const reader = seriesStore(backend, clock, { node: "prod/reader" });
      assert.deepEqual(
        await cpu(reader),
        Array.from({ length: written }, (_, n) => n % 100),
      );
    } finally {
      await cluster.stop();
    }
  }).timeout(90_000);

  it("speaks TLS with its own authority and certificate", async () => {
    const dir = await mkdtemp(join(tmpdir(), "targetvpc-tls-"));
    const files = writeTls(makeTls(), dir);
    const cluster = await startCluster({ tls: files });
    try {
      const tls = { caFile: files.ca, certFile: files.cert, keyFile: files.key, serverName: null };
      const { backend, kept } = start(cluster.settings({ tls }));
      await connected(backend);
      for (let n = 0; n < 12; n++) {
        await backend.putDocument(`prod/n${n}`, "admin", String(n));
        assert.equal(await backend.getDocument(`prod/n${n}`, "admin"), String(n));
      }
      assert.deepEqual(kept.lines, []);
      const stranger = start(cluster.settings({ tls: { ...tls, caFile: null } }));
      await eventually("it is refused", () => stranger.backend.status().status === "down");
      assert.match(stranger.backend.status().lastError ?? "", /self-signed|issuer|unable to/i);
    } finally {
      await cluster.stop();
      await rm(dir, { recursive: true });
    }
  });

  it("is said to be missing where there is none", async () => {
    const cluster = await startCluster({ masters: 1 });
    try {
      const { port } = cluster.servers[0]!;
      const plain = start(cluster.settings({ clusterNodes: [], port }));
      await connected(plain.backend);
      await eventually("it is said", () => plain.kept.of("warn").length > 0);
      assert.match(plain.kept.text(), /node of a cluster.*redis\.cluster_nodes/);
      assert.match(plain.backend.status().details?.["mode"] ?? "", /cluster/);
    } finally {
      await cluster.stop();
    }
  });
});
