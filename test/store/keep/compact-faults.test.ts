import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { AgentError } from "../../../src/core/errors.ts";
import type { Backend, SeriesStore } from "../../../src/store/contract.ts";
import { decodeRows } from "../../../src/store/format/day-columns.ts";
import { createRedisBackend } from "../../../src/store/redis/index.ts";
import { dayOf } from "../../../src/store/slots.ts";
import { decodeCoverage } from "../../../src/store/format/tier-codec.ts";
import { bundleProgram } from "../../support/bundle.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { everything, exactBuckets, keepAll, type Stretch, writeDay } from "../../support/days.ts";
import { recordLog } from "../../support/log.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { row, seriesStore } from "../../support/store.ts";

const node = "prod/node-1";
/** Today: what is kept must not be over by the server's own clock. */
const startMs = dayOf(Date.now()) * 86_400_000;
const endMs = startMs + 86_400_000;
const day = dayOf(startMs);

/** A day with an interval that changes, a series that comes, and holes. */
const stretches: readonly Stretch[] = [10_000, 60_000, 300_000].map((stepMs, index) => ({
  stepMs,
  gap: index,
  restart: index === 1,
  rows: Array.from({ length: 90 }, (_, at) => ({
    cpu: (at * 37) % 1_000,
    net_receive: at % 7 === 0 ? null : at * 1_000_003,
    ...(index === 0 ? {} : { 'disk{mount="/"}': 50 + at / 10 }),
  })),
}));

describe("closed days under faults", () => {
  let server: TestRedis;
  let dir: string;
  let program: string;
  let clock: ManualClock;
  let kept: ReturnType<typeof recordLog>;
  let prefix: string;
  const running: Backend[] = [];
  let prefixes = 0;

  const open = async (): Promise<Backend> => {
    const deps = { clock, log: kept.log, retentionDays: () => 7 };
    const backend = createRedisBackend(server.settings({ prefix }), deps);
    running.push(backend);
    backend.start();
    await eventually("redis is connected", () => backend.status().status === "ok");
    return backend;
  };
  const write = async (): Promise<SeriesStore> => writeDay(await open(), clock, stretches);
  /** The day as another process sees it, in samples and in buckets of an hour. */
  const readAll = async (backend: Backend): Promise<{ samples: unknown; buckets: unknown }> => {
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const query = { node, selectors: everything, fromMs: startMs, toMs: endMs - 1 };
    const samples = await reader.read(query);
    const buckets = await reader.readBuckets({ ...query, stepMs: 3_600_000 });
    assert.deepEqual(
      new Map(buckets.columns),
      new Map(exactBuckets(samples, 3_600_000).columns),
      "the buckets are those of the samples",
    );
    assert.equal(reader.counters().unreadableBlocks, 0);
    return { samples, buckets };
  };

  before(async () => {
    server = await startRedis();
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-compactor-"));
    program = await bundleProgram("compactor", dir);
  });
  after(async () => {
    for (const backend of running) await backend.stop();
    await server.stop();
    await rm(dir, { recursive: true });
  });
  beforeEach(() => {
    clock = new ManualClock(startMs);
    kept = recordLog();
    prefix = `t${prefixes++}`;
  });

  /** A backend that dies at a call: before it reaches the server, or before its answer is heard. */
  const mortal = (backend: Backend, calls: number, heard: boolean): Backend => {
    let left = calls;
    const dead = (): AgentError => new AgentError("STORE_UNAVAILABLE", "died");
    const dying = async <R>(call: () => Promise<R>): Promise<R> => {
      left--;
      if (left < 0 && (!heard || left < -1)) throw dead();
      const reply = await call();
      if (left < 0) throw dead();
      return reply;
    };
    return {
      ...backend,
      read: (...given) => dying(() => backend.read(...given)),
      names: (...given) => dying(() => backend.names(...given)),
      readSchemas: (...given) => dying(() => backend.readSchemas(...given)),
      compact: (...given) => dying(() => backend.compact(...given)),
      writeTier: (...given) => dying(() => backend.writeTier(...given)),
      expireDays: (...given) => dying(() => backend.expireDays(...given)),
    };
  };

  /** Fails unless the tier of the day is whole, and of the columns that are there. */
  const hasItsTier = async (backend: Backend): Promise<void> => {
    const [[rows] = [], [covered] = []] = await backend.read(node, [
      { part: "columns", day, names: ["@rows"] },
      { part: "tier", day, names: ["@covered"] },
    ]);
    assert.ok(rows && covered);
    const { revision, points } = decodeCoverage(covered);
    assert.deepEqual([revision, points], [decodeRows(day, rows).revision, 288]);
  };

  /** Everything of a prefix, under another one that is then in use. */
  const copy = async (from: string): Promise<Backend> => {
    prefix = `t${prefixes++}`;
    for (const letter of ["m", "k", "d"]) {
      const name = `:${letter}:{${node}}:${day}`;
      await server.client.copy(`${from}${name}`, `${prefix}${name}`);
    }
    return open();
  };

  for (const heard of [false, true])
    it(`lose nothing and are always readable when the agent dies ${heard ? "after" : "before"} any of its calls`, async () => {
      const backend = await open();
      await write();
      const first = { prefix, ...(await readAll(backend)) };
      // The same day after it was compacted, with a late row since, which takes back the tier.
      const again = await copy(first.prefix);
      await keepAll(seriesStore(again, clock), clock, 4);
      const writer = seriesStore(again, clock);
      writer.append(row(startMs + 40_000_000, { cpu: 7, memory: 8 }));
      await writer.flush();
      await writer.keep();
      const second = { prefix, ...(await readAll(again)) };
      assert.notDeepEqual(second.samples, first.samples);
      for (const { prefix: from, samples } of [first, second]) {
        let isDead = true;
        for (let calls = 0; isDead; calls++) {
          const copied = await copy(from);
          const store = seriesStore(mortal(copied, calls, heard), clock);
          isDead = await keepAll(store, clock, 4).then(
            () => false,
            (cause: unknown) => cause instanceof AgentError && cause.message === "died",
          );
          assert.deepEqual((await readAll(copied)).samples, samples, `after ${calls} calls`);
          await keepAll(seriesStore(copied, clock), clock, 4);
          assert.deepEqual(await copied.names(node, day, "blocks"), []);
          assert.deepEqual((await readAll(copied)).samples, samples, `at last, ${calls} calls`);
          await hasItsTier(copied);
          await copied.stop();
        }
      }
    }).timeout(120_000);

  it("lose nothing and are always readable when the process is killed 30 times at any moment", async () => {
    const backend = await open();
    await write();
    const writer = seriesStore(backend, clock);
    const nowMs = clock.now();
    let expected = await readAll(backend);
    let kills = 0;
    for (let round = 0; kills < 30; round++) {
      const child = spawn(process.execPath, [program, String(server.port), prefix, String(nowMs)]);
      const lines = createInterface(child.stdout);
      const exited = once(child, "exit");
      let isDone = false;
      lines.on("line", (line: string) => (isDone ||= line === "done"));
      await once(lines, "line");
      await Promise.race([
        exited,
        new Promise((resolve) => setTimeout(resolve, Math.random() * 250)),
      ]);
      child.kill("SIGKILL");
      await exited;
      if (!isDone) kills++;
      const { samples } = await readAll(backend);
      assert.deepEqual(samples, expected.samples, `round ${round}`);
      if ((await backend.names(node, day, "blocks")).length > 0) continue;
      writer.append(row(startMs + (1_000 + round * 11) * 10_000, { cpu: round, memory: round }));
      await writer.flush();
      await writer.keep();
      expected = await readAll(backend);
    }
    await keepAll(writer, clock);
    assert.deepEqual((await readAll(backend)).samples, expected.samples);
    assert.deepEqual(await backend.names(node, day, "blocks"), []);
  }).timeout(240_000);

  it("are swapped once when two agents compact the same day", async () => {
    const backend = await open();
    await write();
    const { samples } = await readAll(backend);
    const stores = [seriesStore(backend, clock), seriesStore(await open(), clock)];
    for (let quarter = 0; quarter < 8; quarter++) {
      await clock.advance(900_000);
      await Promise.all(stores.map((store) => store.keep()));
    }
    const counters = stores.map((store) => store.counters());
    assert.equal(
      counters.reduce((sum, { compactedDays }) => sum + compactedDays, 0),
      1,
    );
    assert.ok(counters.every(({ failedCompactions }) => failedCompactions === 0));
    assert.deepEqual((await readAll(backend)).samples, samples);
    assert.deepEqual(await backend.names(node, day, "blocks"), []);
  });

  it("get their tier anew when it was lost, cannot be read or does not have a late row", async () => {
    const backend = await open();
    await write();
    await keepAll(seriesStore(backend, clock), clock, 4);
    const key = `${prefix}:d:{${node}}:${day}`;
    const breakIt = [
      () => server.client.del(key),
      () => server.client.hset(key, "@covered", Buffer.from([1, 255])),
      async () => {
        // Its process dies before it takes back the tier.
        const dying = seriesStore(backend, clock);
        dying.append(row(startMs + 40_000_000, { cpu: 7, memory: 8 }));
        await dying.flush();
      },
    ];
    for (const breaks of breakIt) {
      await breaks();
      await keepAll(seriesStore(backend, clock), clock, 4);
      await hasItsTier(backend);
      await readAll(backend);
    }
  });

  it("have a tier that outlives them, for its own retention", async () => {
    const backend = await open();
    await write();
    let tierDays = 30;
    const store = seriesStore(backend, clock, { tierRetentionDays: () => tierDays });
    await keepAll(store, clock, 4);
    const expiry = (letter: string): Promise<number> =>
      server.client.expiretime(`${prefix}:${letter}:{${node}}:${day}`);
    const hour = await expiry("k");
    assert.ok(hour > endMs / 1_000 + 7 * 86_400 && hour <= endMs / 1_000 + 7 * 86_400 + 3_600);
    assert.equal(await expiry("d"), hour + 23 * 86_400);
    tierDays = 100;
    await store.keep();
    assert.equal(await expiry("d"), hour + 93 * 86_400);
    assert.equal(await expiry("k"), hour);
    const query = { node, selectors: everything, fromMs: startMs, toMs: endMs - 1 };
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const before = await reader.readBuckets({ ...query, stepMs: 300_000 });
    for (const letter of ["m", "k"])
      await server.client.del(`${prefix}:${letter}:{${node}}:${day}`);
    clock.jump(50 * 86_400_000);
    assert.deepEqual(await reader.readBuckets({ ...query, stepMs: 300_000 }), before);
    assert.equal((await reader.read(query)).timesMs.length, 0);
  });

  it("take a late row of a block that memory still holds without thinking that keys were lost", async () => {
    const store = await write();
    const backend = await open();
    await keepAll(store, clock);
    assert.deepEqual(await backend.names(node, day, "blocks"), []);
    const query = { node, selectors: everything, fromMs: startMs, toMs: endMs - 1 };
    const { timesMs } = await store.read(query);
    for (const value of [1, 2]) {
      store.append(row((timesMs.at(-1) ?? 0) + value * 1_000, { cpu: value }));
      await store.flush();
    }
    assert.equal((await backend.names(node, day, "blocks")).length, 1);
    assert.deepEqual(kept.of("warn"), []);
    await store.keep();
    const { samples } = await readAll(backend);
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    assert.equal((await reader.read(query)).timesMs.length, timesMs.length + 2);
    await keepAll(store, clock);
    assert.deepEqual(await backend.names(node, day, "blocks"), []);
    assert.deepEqual((await readAll(backend)).samples, samples);
  });

  it("keep what cannot be read as it is, count it, and say it once", async () => {
    const backend = await open();
    await write();
    const key = `${prefix}:m:{${node}}:${day}`;
    const newer = Buffer.from([9, 1, 2, 3]);
    const garbled = Buffer.from([1, 1, 255, 255]);
    await server.client.hset(key, { "100": newer, "101": garbled, h23: Buffer.from([1]) });
    const query = { node, selectors: everything, fromMs: startMs, toMs: endMs - 1 };
    const read = () => seriesStore(backend, clock, { node: "prod/reader" }).read(query);
    const before = await read();
    const fresh = recordLog();
    const store = seriesStore(backend, clock, { log: fresh.log });
    await keepAll(store, clock);
    await keepAll(store, clock);
    const left = await backend.names(node, day, "blocks");
    assert.deepEqual([...left].sort(), ["100", "101", "h23"]);
    assert.deepEqual(await server.client.hgetBuffer(key, "100"), newer);
    assert.deepEqual(await server.client.hgetBuffer(key, "101"), garbled);
    assert.equal(store.counters().compactedDays, 1);
    assert.equal(store.counters().unreadableBlocks, 3);
    assert.deepEqual(fresh.of("warn"), ["stored block unreadable"]);
    assert.deepEqual(await read(), before);
  });

  it("stay in blocks when the columns of an earlier compaction cannot be read", async () => {
    const backend = await open();
    await write();
    await keepAll(seriesStore(backend, clock), clock);
    const late = seriesStore(backend, clock);
    late.append(row(startMs + 5_000, { cpu: 5 }));
    await late.flush();
    const key = `${prefix}:k:{${node}}:${day}`;
    for (const [field, value] of [
      ["cpu", Buffer.from([2, 1, 1, 7])],
      ["@rows", Buffer.from([2, 7])],
    ] as const) {
      await server.client.hset(key, field, value);
      const fresh = recordLog();
      const store = seriesStore(backend, clock, { log: fresh.log });
      await keepAll(store, clock);
      await keepAll(store, clock);
      assert.equal((await backend.names(node, day, "blocks")).length, 1);
      assert.deepEqual(await server.client.hgetBuffer(key, field), value);
      assert.ok(store.counters().failedCompactions > 1);
      const said = "day not compacted; it stays in blocks";
      assert.equal(fresh.of("warn").filter((event) => event === said).length, 1);
    }
  });
});
