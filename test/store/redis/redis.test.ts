import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "../../../src/base/secret.ts";
import { AgentError } from "../../../src/core/errors.ts";
import { parseSelector } from "../../../src/core/series.ts";
import type { Backend } from "../../../src/store/contract.ts";
import { createKeys } from "../../../src/store/redis/keys.ts";
import { type RedisSettings, redisTarget, targetText } from "../../../src/store/redis/settings.ts";
import { placeInFleet } from "../../../src/store/spread.ts";
import { blockMs, blockName, dayOf, spanAt } from "../../../src/store/slots.ts";
import { decodeCoverage } from "../../../src/store/format/tier-codec.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { freePort, redisSettings, startRedis, type TestRedis } from "../../support/redis.ts";
import { connected, RedisBackends } from "../../support/redis-backends.ts";
import { row, seriesStore, wideRow } from "../../support/store.ts";
import { makeTls } from "../../support/tls.ts";

const node = "prod/node-1";
const stepMs = 10_000;

/** Two hours after midnight: the day does not change for long, and none is compacted. */
function earlyToday(): number {
  return dayOf(Date.now()) * 86_400_000 + 7_200_000;
}

function isUnavailable(cause: unknown): boolean {
  return cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE";
}

describe("redis backend", () => {
  let server: TestRedis;
  let clock: ManualClock;
  let used = 0;

  const backends = new RedisBackends();
  const start = (settings: RedisSettings) => backends.start(settings, clock);
  const prefix = (): string => `r${used++}`;
  const cpu = (of: string, fromMs: number, toMs: number) => ({
    node: of,
    selectors: [parseSelector("cpu")],
    fromMs,
    toMs,
  });

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(() => {
    clock = new ManualClock(Math.ceil(Date.now() / 600_000) * 600_000);
  });
  afterEach(async () => {
    await backends.stop();
  });

  it("says nothing when Redis is there", async () => {
    const { backend, kept } = start(server.settings({ prefix: prefix() }));
    assert.equal(backend.status().status, "starting");
    await connected(backend);
    assert.deepEqual(kept.lines, []);
  });

  it("warns once when Redis is down at the start, says once that it is there, and sends what waited", async () => {
    const port = await freePort();
    const { backend, kept } = start(redisSettings(port));
    const store = seriesStore(backend, clock, { log: kept.log });
    const fromMs = clock.now();
    await eventually("it is down", () => backend.status().status === "down");
    for (let tick = 0; tick < 130; tick++) {
      store.append(wideRow(clock.now(), { cpu: tick % 100 }));
      await store.flush();
      await clock.advance(stepMs);
    }
    assert.equal(store.counters().dirtyBlocks, 3);
    const ownRows = (await store.read(cpu(node, fromMs, clock.now()))).timesMs.length;
    assert.equal(ownRows, 130, "the own node is answered from memory");
    await assert.rejects(store.read(cpu("prod/node-2", fromMs, clock.now())), isUnavailable);
    assert.match(backend.status().lastError ?? "", /ECONNREFUSED/);
    const late = await startRedis({ port });
    try {
      await connected(backend);
      await store.flush();
      assert.equal(store.counters().dirtyBlocks, 0);
      const other = seriesStore(backend, clock, { node: "prod/node-2" });
      assert.equal((await other.read(cpu(node, fromMs, clock.now()))).timesMs.length, 130);
      assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
      assert.deepEqual(kept.of("info"), ["redis available again"]);
      assert.match(kept.text(), /ECONNREFUSED/);
    } finally {
      await late.stop();
    }
  });

  it("sends the backlog of an outage at its own place in the minute after it, and the open block at once", async () => {
    const port = await freePort();
    const { backend } = start(redisSettings(port));
    const store = seriesStore(backend, clock);
    const fromMs = clock.now();
    await eventually("it is down", () => backend.status().status === "down");
    for (let tick = 0; tick < 630; tick++) {
      store.append(wideRow(clock.now(), { cpu: tick % 100 }));
      await clock.advance(stepMs);
    }
    const late = await startRedis({ port });
    try {
      await connected(backend);
      await store.flush();
      assert.equal(store.counters().dirtyBlocks, 10, "the open block is there");
      const waitMs = placeInFleet(node) * 60_000;
      await clock.advance(waitMs - 1_000);
      await store.flush();
      assert.equal(store.counters().dirtyBlocks, 10, "not yet");
      await clock.advance(1_001);
      await store.flush();
      assert.equal(store.counters().dirtyBlocks, 0);
      const other = seriesStore(backend, clock, { node: "prod/node-2" });
      assert.equal((await other.read(cpu(node, fromMs, clock.now()))).timesMs.length, 630);
    } finally {
      await late.stop();
    }
  });

  it("sends all of a backlog before its turn when the agent stops", async () => {
    const port = await freePort();
    const { backend } = start(redisSettings(port));
    const store = seriesStore(backend, clock);
    await eventually("it is down", () => backend.status().status === "down");
    for (let block = 0; block < 100; block++) {
      store.append(wideRow(clock.now(), { cpu: block }));
      await clock.advance(600_000);
    }
    const late = await startRedis({ port });
    try {
      await connected(backend);
      await store.flush();
      assert.equal(store.counters().dirtyBlocks, 100, "it waits for its turn");
      await store.close();
      assert.equal(store.counters().dirtyBlocks, 0);
    } finally {
      await late.stop();
    }
  });

  for (const [what, lose, warnings] of [
    [
      "Redis restarts empty",
      async (own: TestRedis, backend: Backend) => {
        await own.restart();
        await eventually("it is connected again", () => backend.epoch() === 2);
      },
      ["redis unavailable"],
    ],
    [
      "its keys are flushed or evicted under way",
      async (own: TestRedis) => {
        await own.client.flushall();
      },
      // For one flush a block stands there whose schema is gone with the rest.
      ["redis lost keys; writing them again", "stored block unreadable"],
    ],
  ] as const)
    it(`puts everything back that it still has when ${what}`, async () => {
      const own = await startRedis();
      try {
        const { backend, kept } = start(own.settings());
        await connected(backend);
        const store = seriesStore(backend, clock, { log: kept.log });
        const fromMs = clock.now();
        const tick = async (value: number): Promise<void> => {
          store.append(row(clock.now(), value < 5 ? { cpu: value } : { cpu: value, memory: 1 }));
          await store.flush();
          await clock.advance(stepMs);
        };
        for (let value = 0; value < 20; value++) await tick(value);
        await lose(own, backend);
        for (let value = 20; value < 30; value++) await tick(value);
        const other = seriesStore(backend, clock, { node: "prod/node-2" });
        const data = await other.read(cpu(node, fromMs, clock.now()));
        assert.deepEqual(
          data.columns.get("cpu"),
          Array.from({ length: 30 }, (_, value) => value),
        );
        const key = createKeys("targetvpc").day("blocks", node, dayOf(fromMs));
        assert.ok((await own.client.ttl(key)) > 0);
        assert.deepEqual(kept.of("warn"), warnings);
      } finally {
        await own.stop();
      }
    });

  it("merges again after a reconnection: another process may have written meanwhile", async () => {
    const own = await startRedis();
    try {
      const { backend } = start(own.settings());
      await connected(backend);
      const store = seriesStore(backend, clock);
      const fromMs = clock.now();
      store.append(row(fromMs, { cpu: 1 }));
      await store.flush();
      await own.restart();
      await eventually("it is connected again", () => backend.epoch() === 2);
      const another = seriesStore(backend, clock);
      another.append(row(fromMs + stepMs, { cpu: 2 }));
      await another.flush();
      store.append(row(fromMs + 2 * stepMs, { cpu: 3 }));
      await store.flush();
      const reader = seriesStore(backend, clock, { node: "prod/node-2" });
      const data = await reader.read(cpu(node, fromMs, fromMs + 600_000));
      assert.deepEqual(data.columns.get("cpu"), [1, 2, 3]);
    } finally {
      await own.stop();
    }
  });

  it("neither blocks nor waits for long while Redis stands still, and goes on when it moves", async () => {
    const own = await startRedis();
    try {
      const { backend, kept } = start(own.settings());
      await connected(backend);
      const store = seriesStore(backend, clock, { log: kept.log });
      store.append(wideRow(clock.now(), { cpu: 1 }));
      await store.flush();
      own.freeze();
      const fromMs = clock.now();
      await clock.advance(stepMs);
      const began = performance.now();
      const flushing = store.flush();
      const appended = performance.now();
      for (let tick = 0; tick < 100; tick++) {
        store.append(wideRow(clock.now(), { cpu: tick }));
        await clock.advance(stepMs);
      }
      assert.ok(performance.now() - appended < 1_000, "append does not wait");
      await flushing;
      await store.flush();
      assert.ok(performance.now() - began < 8_000, "flush gives up");
      assert.equal((await store.read(cpu(node, fromMs, clock.now()))).timesMs.length, 101);
      assert.equal(backend.status().status, "down");
      own.thaw();
      await eventually("it is connected again", () => backend.status().status === "ok", 15_000);
      await store.flush();
      assert.equal(store.counters().dirtyBlocks, 0);
      const other = seriesStore(backend, clock, { node: "prod/node-2" });
      assert.equal((await other.read(cpu(node, fromMs, clock.now()))).timesMs.length, 101);
      assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
      assert.deepEqual(kept.of("info"), ["redis available again"]);
    } finally {
      own.thaw();
      await own.stop();
    }
  }).timeout(40_000);

  it("fails at once while Redis is away, and does not queue", async () => {
    const { backend } = start(redisSettings(await freePort()));
    const began = performance.now();
    await assert.rejects(
      backend.read(node, [{ part: "blocks", day: 1, names: ["0"] }]),
      isUnavailable,
    );
    await assert.rejects(backend.states(node).load(), isUnavailable);
    await assert.rejects(backend.nodes(), isUnavailable);
    await assert.rejects(backend.receipts.list({ limit: 1 }), isUnavailable);
    await assert.rejects(backend.getDocument(node, "admin"), isUnavailable);
    assert.ok(performance.now() - began < 1_000);
  });

  it("says that the password is wrong or missing, and never the password", async () => {
    const guarded = await startRedis({ password: "correct-horse" });
    try {
      for (const [password, reason] of [
        [new Secret("wrong-password-1"), /WRONGPASS/],
        [null, /NOAUTH/],
      ] as const) {
        const { backend, kept } = start(guarded.settings({ password }));
        await eventually("it is down", () => backend.status().status === "down");
        await eventually("it has tried again", () => backend.status().lastError !== null);
        await assert.rejects(backend.nodes(), isUnavailable);
        assert.match(kept.text(), reason);
        assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
        assert.doesNotMatch(kept.text() + (backend.status().lastError ?? ""), /wrong-password/);
      }
      const { backend, kept } = start(guarded.settings());
      await connected(backend);
      await backend.putDocument(node, "effective", "{}");
      assert.deepEqual(kept.lines, []);
    } finally {
      await guarded.stop();
    }
  });

  it("connects by URL, with password and database", async () => {
    const guarded = await startRedis({ password: "p@ss/word" });
    try {
      const url = new Secret(`redis://:p%40ss%2Fword@127.0.0.1:${guarded.port}/3`);
      const { backend } = start(redisSettings(1, { url, host: "nowhere.invalid" }));
      await connected(backend);
      await backend.putDocument(node, "effective", "{}");
      await guarded.client.select(3);
      assert.equal(await guarded.client.dbsize(), 1);
    } finally {
      await guarded.stop();
    }
  });

  it("connects over TLS to a server it can trust, with a certificate of its own, and to no other", async () => {
    const dir = await mkdtemp(join(tmpdir(), "targetvpc-redis-tls-"));
    const [caFile, certFile, keyFile] = ["ca", "cert", "key"].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    const { ca, cert, key } = makeTls();
    await Promise.all([writeFile(caFile, ca), writeFile(certFile, cert), writeFile(keyFile, key)]);
    const port = await freePort();
    const files = ["--tls-ca-cert-file", caFile, "--tls-cert-file", certFile, "--tls-key-file"];
    const secure = await startRedis({ args: ["--tls-port", String(port), ...files, keyFile] });
    try {
      const url = new Secret(`rediss://localhost:${port}`);
      const tls = { caFile, certFile, keyFile, serverName: null };
      const { backend } = start(redisSettings(port, { url, tls }));
      await connected(backend);
      await backend.putDocument(node, "effective", "{}");
      assert.equal(await backend.getDocument(node, "effective"), "{}");
      const named = start(redisSettings(port, { tls: { ...tls, serverName: "localhost" } }));
      await connected(named.backend);
      for (const [settings, reason] of [
        [redisSettings(port, { url }), /self-signed|unable to|issuer/i],
        [redisSettings(port, { tls: { ...tls, serverName: "other.example" } }), /altname/i],
      ] as const) {
        const { backend, kept } = start(settings);
        await eventually("it is down", () => backend.status().status === "down");
        assert.match(kept.text(), reason);
      }
    } finally {
      await secure.stop();
      await rm(dir, { recursive: true, force: true });
    }
  });

  it("reports a key of another type and goes on with everything else", async () => {
    const name = prefix();
    const keys = createKeys(name);
    const today = dayOf(clock.now());
    const { client } = server;
    for (const key of [
      keys.day("blocks", node, today),
      keys.states(node),
      keys.documents(node),
      keys.nodes,
      keys.nodeInfos,
      keys.receiptIds("ops"),
      keys.receipts("ops"),
      keys.channels,
    ])
      await client.set(key, "no hash, no sorted set");
    const { backend, kept } = start(server.settings({ prefix: name }));
    await connected(backend);
    const store = seriesStore(backend, clock, { log: kept.log });
    for (let tick = 0; tick < 3; tick++) {
      store.append(row(clock.now(), { cpu: tick }));
      await store.flush();
      await clock.advance(stepMs);
    }
    await assert.rejects(backend.states(node).load(), /WRONGTYPE/);
    await assert.rejects(backend.getDocument(node, "admin"), /WRONGTYPE/);
    await assert.rejects(backend.nodes(), /WRONGTYPE/);
    await assert.rejects(backend.receipts.list({ limit: 1 }), isUnavailable);
    await assert.rejects(backend.receipts.list({ channel: "ops", limit: 1 }), isUnavailable);
    assert.equal((await store.read(cpu(node, 0, clock.now()))).timesMs.length, 3);
    assert.equal(backend.status().status, "ok");
    assert.equal(store.counters().dirtyBlocks, 1);
    assert.deepEqual(kept.of("warn"), ["stored block unreadable", "series not stored"]);
    await clock.advance(86_400_000);
    store.append(row(clock.now(), { cpu: 9 }));
    await store.flush();
    assert.equal(store.counters().dirtyBlocks, 1, "the next day is not held up");
    await client.del(keys.day("blocks", node, today));
    await store.flush();
    assert.equal(store.counters().dirtyBlocks, 0);
    assert.deepEqual(kept.of("info"), ["series stored again"]);
  });

  it("skips what is garbled, counts it and says so once", async () => {
    const name = prefix();
    const keys = createKeys(name);
    const { backend, kept } = start(server.settings({ prefix: name }));
    await connected(backend);
    const fromMs = clock.now();
    const writer = seriesStore(backend, clock);
    for (let tick = 0; tick < 180; tick++) {
      writer.append(wideRow(clock.now(), { cpu: tick % 100 }));
      await writer.flush();
      await clock.advance(stepMs);
    }
    const key = keys.day("blocks", node, dayOf(fromMs));
    const number = Number(blockName(spanAt(fromMs, blockMs)));
    await server.client.hset(key, String(number), "garbage");
    await server.client.hset(key, String(number + 1), Buffer.from([2, 1, 0]));
    await server.client.hset(key, "s2", "{broken");
    const reader = seriesStore(backend, clock, { node: "prod/node-2", log: kept.log });
    for (let time = 0; time < 2; time++)
      assert.equal((await reader.read(cpu(node, fromMs, clock.now()))).timesMs.length, 60);
    assert.equal(reader.counters().unreadableBlocks, 2);
    await server.client.hset(key, "s1", "{broken");
    const fresh = seriesStore(backend, clock, { node: "prod/node-2" });
    assert.equal((await fresh.read(cpu(node, fromMs, clock.now()))).timesMs.length, 0);
    assert.equal(fresh.counters().unreadableBlocks, 3);
    await server.client.zadd(keys.nodes, clock.now(), "prod/x", clock.now(), "prod/y");
    await server.client.hset(keys.nodeInfos, "prod/x", "{", "prod/y", '{"cluster":1}');
    await server.client.zadd(keys.receiptIds("ops"), 1, "a", 2, "b", 3, "c");
    await server.client.hset(keys.receipts("ops"), "a", "[]", "b", "garbage");
    for (let time = 0; time < 2; time++) {
      assert.deepEqual(await backend.nodes(), []);
      assert.deepEqual(await backend.receipts.list({ channel: "ops", limit: 9 }), []);
    }
    assert.deepEqual(kept.of("warn").sort(), [
      "stored block unreadable",
      "stored entry unreadable",
      "stored entry unreadable",
    ]);
  });

  it("leaves no key without an expiry", async () => {
    const name = prefix();
    const { backend } = start(server.settings({ prefix: name }));
    await connected(backend);
    const store = seriesStore(backend, clock);
    for (let tick = 0; tick < 3; tick++) {
      store.append(row(clock.now(), { cpu: tick }));
      await store.flush();
      await clock.advance(600_000);
    }
    const [cluster, host] = ["prod", "node-1"];
    const info = { cluster, name: host, ip: "10.0.0.1", version: "0.1.0" };
    await backend.heartbeat({ ...info, lastSeenMs: clock.now() });
    await backend.states(node).save(new Map([["a", "b"]]));
    await backend.putDocument(node, "effective", "{}");
    await backend.receipts.put({
      id: "r1",
      alert: "a1",
      channel: "ops",
      type: "email",
      kind: "test",
      outcome: "sent",
      attempts: 1,
      code: "250",
      message: null,
      digest: null,
      createdAtMs: clock.now(),
      settledAtMs: clock.now(),
    });
    const any = { node: ["*"], cluster: null, rule: null, index: null, level: null, labels: {} };
    const span = { startsAtMs: clock.now(), endsAtMs: clock.now() + 1_000, createdAtMs: 0 };
    await backend.silences.put({ id: "s1", matchers: any, ...span, author: "a", comment: "c" });
    await backend.acknowledgements.put({ id: "k1", alert: "a1", by: "a", atMs: clock.now() });
    await backend.signingKeys.settle({ period: 1, value: "k".repeat(43) });
    const all = (await server.client.keys("*")).filter((key) => key.startsWith(`${name}:`));
    assert.equal(all.length, 11);
    for (const key of all) assert.ok((await server.client.ttl(key)) > 0, key);
  });

  it("keeps a living node's documents and states from expiring", async () => {
    const name = prefix();
    const keys = createKeys(name);
    const { backend } = start(server.settings({ prefix: name }));
    await connected(backend);
    const beat = (): Promise<void> =>
      backend.heartbeat({
        cluster: "prod",
        name: "node-1",
        ip: "10.0.0.1",
        version: "0.1.0",
        lastSeenMs: clock.now(),
      });
    await backend.putDocument(node, "effective", "{}");
    await backend.states(node).save(new Map([["a", "b"]]));
    await beat();
    for (const key of [keys.documents(node), keys.states(node), keys.nodes, keys.nodeInfos])
      await server.client.expire(key, 100);
    await clock.advance(60_000);
    await beat();
    assert.ok((await server.client.ttl(keys.documents(node))) <= 100, "not each minute");
    await clock.advance(6 * 3_600_000);
    await beat();
    for (const key of [keys.documents(node), keys.states(node), keys.nodes, keys.nodeInfos])
      assert.ok((await server.client.ttl(key)) > 100_000, key);
  });

  it("needs at most 1.1 commands a tick, heartbeats and tier too, and under a byte a sample", async () => {
    const own = await startRedis();
    clock = new ManualClock(earlyToday());
    try {
      const { backend } = start(own.settings());
      await connected(backend);
      const store = seriesStore(backend, clock);
      const tick = async (n: number): Promise<void> => {
        const values = Array.from({ length: 50 }, (_, series): [string, number] => [
          `net_receive{interface="eth${series}"}`,
          Math.round(500 + 40 * Math.sin(n / 9 + series) + ((n * 7 + series * 13) % 5)),
        ]);
        store.append(row(clock.now(), Object.fromEntries(values)));
        await store.flush();
        if (n % 18 === 0)
          await backend.heartbeat({
            cluster: "prod",
            name: "node-1",
            ip: "192.0.2.1",
            version: "1",
            lastSeenMs: clock.now(),
          });
        if (n % 3 === 0) await store.keep();
        await clock.advance(stepMs);
      };
      for (let n = 0; n < 190; n++) await tick(n);
      await own.client.config("RESETSTAT");
      for (let n = 190; n < 550; n++) await tick(n);
      const stats = await own.client.info("commandstats");
      const calls = [...stats.matchAll(/cmdstat_([^:]+):calls=(\d+)/g)]
        .filter(([, command]) => command !== "config|resetstat")
        .map(([, , count]) => Number(count));
      const total = calls.reduce((sum, count) => sum + count, 0);
      assert.ok(total > 360 && total <= 396, `${total} commands in 360 ticks\n${stats}`);
      const selectors = [parseSelector("net_receive{*}")];
      const fromMs = clock.now() - 1_800_000;
      const recent = await store.read({ node, selectors, fromMs, toMs: clock.now() });
      assert.equal(recent.timesMs.length, 180);
      const later = await own.client.info("commandstats");
      assert.equal(/hmget:calls=\d+/.exec(later)?.[0], /hmget:calls=\d+/.exec(stats)?.[0]);
      const key = createKeys("targetvpc").day("blocks", node, dayOf(clock.now() - stepMs));
      const bytes = Number(await own.client.call("MEMORY", "USAGE", key, "SAMPLES", "0"));
      assert.ok(bytes / (550 * 50) < 1, `${bytes / (550 * 50)} bytes a sample`);
    } finally {
      await own.stop();
    }
  });

  it("goes on with the open day's tier without reading it, and has it expire also after it was evicted", async () => {
    clock = new ManualClock(earlyToday());
    const name = prefix();
    const key = createKeys(name).day("tier", node, dayOf(clock.now()));
    const { backend } = start(server.settings({ prefix: name }));
    await connected(backend);
    const store = seriesStore(backend, clock);
    const hour = async (): Promise<void> => {
      for (let n = 0; n < 60; n++) {
        store.append(row(clock.now(), { cpu: n }));
        await clock.advance(60_000);
      }
      await store.flush();
      await store.keep();
    };
    const points = async (): Promise<number> => {
      const [covered] = await server.client.hmgetBuffer(key, "@covered");
      return decodeCoverage(covered ?? new Uint8Array()).points;
    };
    for (let n = 0; n < 2; n++) await hour();
    const before = await points();
    await server.client.config("RESETSTAT");
    await hour();
    assert.doesNotMatch(await server.client.info("commandstats"), /cmdstat_hkeys/);
    assert.equal(await points(), before + 12);
    await server.client.del(key);
    await hour();
    assert.ok((await server.client.ttl(key)) > 0, "it expires");
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const toMs = clock.now();
    const query = { node, selectors: [parseSelector("cpu")], fromMs: toMs - 4 * 3_600_000, toMs };
    const { columns } = await reader.readBuckets({ ...query, stepMs: 3_600_000 });
    const { counts = [] } = columns.get("cpu") ?? {};
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      240,
    );
    assert.equal(await points(), before + 24);
  });

  it("lists the series of many nodes over months without having too much wait", async () => {
    const { backend } = start(server.settings({ prefix: prefix() }));
    await connected(backend);
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const range = { fromMs: clock.now() - 90 * 86_400_000, toMs: clock.now() };
    // As many nodes beside each other as two questions of Grafana's ask.
    const nodes = Array.from({ length: 32 }, (_, at) => `prod/node-${at}`);
    const found = await Promise.all(nodes.map((one) => reader.seriesKeys({ node: one, ...range })));
    assert.deepEqual(found.flat(), []);
  });

  it("stops at once, also while Redis is away, and says nothing of it", async () => {
    const { backend, kept } = start(server.settings({ prefix: prefix() }));
    await connected(backend);
    await backend.stop();
    await backend.stop();
    await assert.rejects(backend.nodes(), isUnavailable);
    assert.deepEqual(kept.lines, []);
  });
});

describe("redis settings", () => {
  const settings = redisSettings(6_379);

  it("take everything from a URL, which wins", () => {
    const url = new Secret("rediss://user:p%40ss@[::1]:7000/2");
    assert.deepEqual(redisTarget({ ...settings, host: "other", url }), {
      form: "server",
      host: "::1",
      port: 7_000,
      db: 2,
      username: "user",
      password: "p@ss",
      tls: {},
    });
    const plain = redisTarget({ ...settings, url: new Secret("redis://cache") });
    assert.deepEqual(plain, { form: "server", host: "cache", port: 6_379, db: 0 });
  });

  it("name Sentinels or nodes of a cluster, with one access for all of them", () => {
    const sentinels = [{ host: "::1", port: 26_379 }];
    const access = { username: "agent", password: new Secret("pass") };
    const target = redisTarget({
      ...settings,
      ...access,
      db: 2,
      sentinels,
      sentinelName: "mymaster",
      sentinelPassword: new Secret("other"),
    });
    assert.deepEqual(target, {
      form: "sentinel",
      sentinels,
      name: "mymaster",
      db: 2,
      username: "agent",
      password: "pass",
      sentinelPassword: "other",
    });
    assert.equal(targetText(target), "mymaster of Sentinel [::1]:26379");
    const nodes = [
      { host: "a", port: 1 },
      { host: "b", port: 2 },
    ];
    const cluster = redisTarget({ ...settings, ...access, clusterNodes: nodes });
    assert.deepEqual(cluster, { form: "cluster", nodes, username: "agent", password: "pass" });
    assert.equal(targetText(cluster), "cluster a:1, b:2");
  });

  it("refuse a wrong URL and an unreadable file, without the secret", () => {
    for (const url of ["no url with s3cret", "http://u:s3cret@h/", "redis://u:s3cret@h/x"])
      assert.throws(
        () => redisTarget({ ...settings, url: new Secret(url) }),
        (cause: unknown) =>
          cause instanceof AgentError &&
          cause.code === "CONFIG_INVALID" &&
          cause.faults[0]?.path === "redis.url" &&
          !JSON.stringify([cause.message, cause.faults]).includes("s3cret"),
        url,
      );
    const tls = { caFile: "/nonexistent/ca.pem", certFile: null, keyFile: null, serverName: null };
    assert.throws(
      () => redisTarget({ ...settings, tls }),
      (cause: unknown) =>
        cause instanceof AgentError && cause.faults[0]?.path === "redis.tls.ca_file",
    );
  });
});

describe("redis keys", () => {
  it("have the node in braces, whatever its name", () => {
    const keys = createKeys("targetvpc");
    assert.equal(keys.day("blocks", "prod/node-1", 20_458), "targetvpc:m:{prod/node-1}:20458");
    for (const name of ["a}b/{c}", "{}/", "}/x", "/"])
      assert.match(keys.day("blocks", name, 1), /^targetvpc:m:\{[^{}]+\}:1$/);
  });

  it("hold two names apart that look alike when escaped", () => {
    const keys = createKeys("p");
    const names = ["a/{", "a/%7B", "a/%257B", "a b/", "a%20b/"];
    assert.equal(new Set(names.map((name) => keys.states(name))).size, names.length);
  });
});
