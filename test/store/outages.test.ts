import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Backend, SeriesStore } from "../../src/store/contract.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { createKeys } from "../../src/store/redis/keys.ts";
import { dayOf } from "../../src/store/slots.ts";
import { eventually, ManualClock, settle } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { faultsOfTicks, seriesStore, tickRow, tickStartMs, tickStepMs } from "../support/store.ts";

const node = "prod/node-1";
const hourTicks = 360;

/** Bytes that are still used after everything unreachable is gone, native parts too. */
async function usedBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let round = 0; round < 3; round++) {
    collect();
    await settle();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

describe("series through an outage of Redis", () => {
  let server: TestRedis;
  let dir: string;
  let clock: ManualClock;
  let backend: Backend;
  let store: SeriesStore;
  let kept: ReturnType<typeof recordLog>;
  let tick: number;
  const running: Backend[] = [];

  const open = (): Backend => {
    const deps = { clock, log: kept.log, retentionDays: () => 8 };
    const opened = createRedisBackend(server.settings(), deps);
    opened.start();
    running.push(opened);
    return opened;
  };
  const pass = async (count: number, flushEach = 1): Promise<void> => {
    for (let end = tick + count; tick < end; tick++) {
      store.append(tickRow(tick));
      if (tick % flushEach === 0) await store.flush();
      await clock.advance(tickStepMs);
    }
  };
  const isUp = (): Promise<void> =>
    eventually("redis is connected", () => backend.status().status === "ok", 15_000);
  /** What is missing or wrong of all ticks since the beginning, as another agent sees it. */
  const faults = async (): Promise<string[]> => {
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const ticks = Array.from({ length: tick }, (_, at) => at);
    return (await faultsOfTicks(reader, node, ticks)).slice(0, 5);
  };

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-outage-"));
    server = await startRedis({ dir });
    kept = recordLog();
    clock = new ManualClock(tickStartMs);
    tick = 0;
    backend = open();
    await isUp();
    store = seriesStore(backend, clock, { log: kept.log, retentionDays: () => 8 });
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  });

  for (const [what, ticks] of [
    ["two hours", 2 * hourTicks],
    ["eight hours", 8 * hourTicks],
    ["seven days", 7 * 24 * hourTicks],
  ] as const)
    for (const comesBack of ["empty", "with old data"] as const)
      it(`of ${what} lose nothing when it comes back ${comesBack}`, async () => {
        await pass(200);
        if (comesBack === "with old data") await server.client.save();
        await server.kill();
        await eventually("it is missed", () => backend.status().status === "down");
        const before = await usedBytes();
        await pass(ticks, hourTicks / 10);
        const grown = (await usedBytes()) - before;
        // Besides the blocks, whatever the runtime makes of code that runs often.
        const allowed = 1_000_000 + 2_500 * store.counters().dirtyBlocks;
        assert.ok(grown < allowed, `${grown} bytes for ${store.counters().dirtyBlocks} blocks`);
        await server.restart();
        await isUp();
        await server.client.config("RESETSTAT");
        let written = 0;
        for (let rounds = 0; store.counters().dirtyBlocks > 0; rounds++) {
          assert.ok(rounds < 60, `${store.counters().dirtyBlocks} blocks still wait`);
          await pass(1);
          const bytes = Number(
            /total_net_input_bytes:(\d+)/.exec(await server.client.info("stats"))?.[1],
          );
          assert.ok(bytes - written < 250_000, `${bytes - written} bytes in one round`);
          written = bytes;
        }
        assert.deepEqual(await faults(), []);
        assert.deepEqual(kept.of("warn"), ["redis unavailable"]);
      }).timeout(60_000);

  it("that dies and comes back seven ticks older, twelve times, lose nothing of a living agent", async () => {
    for (let time = 0; time < 12; time++) {
      await pass(93);
      await server.client.save();
      await pass(7);
      await server.kill();
      await server.restart();
      await isUp();
    }
    await pass(1);
    assert.deepEqual(await faults(), []);
  }).timeout(60_000);

  it("that stands still is waited for by no more than two timers, and fills no memory", async () => {
    await pass(10);
    const timers = (): number =>
      process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const bytes = await usedBytes();
    server.freeze();
    try {
      for (let end = tick + 2_000; tick < end; tick++) {
        store.append(tickRow(tick));
        void store.flush();
        await clock.advance(tickStepMs);
        assert.ok(timers() <= before + 2, `${timers() - before} timers`);
      }
      const grown = (await usedBytes()) - bytes;
      assert.ok(grown < 2_000_000, `${grown} bytes`);
      const own = await store.read({
        node,
        selectors: [{ index: "net_receive", labels: "*" }],
        fromMs: tickStartMs,
        toMs: clock.now(),
      });
      assert.equal(own.timesMs.length, 2_010, "the own node is answered meanwhile");
    } finally {
      server.thaw();
    }
    await store.flush();
    await isUp();
    await clock.advance(60_000);
    tick += 6;
    await pass(1);
    await store.flush();
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const ticks = Array.from({ length: 2_010 }, (_, at) => at);
    assert.deepEqual(await faultsOfTicks(reader, node, ticks), []);
  }).timeout(60_000);

  it("that is full and evicts nothing keep what is new until there is room, and say so once", async () => {
    await pass(100);
    await server.client.config("SET", "maxmemory-policy", "noeviction");
    await server.client.config("SET", "maxmemory", "1");
    await pass(300);
    assert.ok(store.counters().dirtyBlocks > 4);
    assert.deepEqual(kept.of("warn"), ["series not stored"]);
    assert.match(kept.text(), /OOM/);
    await server.client.config("SET", "maxmemory", "0");
    await pass(1);
    assert.deepEqual(await faults(), []);
    assert.deepEqual(kept.of("info"), ["series stored again"]);
  });

  for (const policy of ["allkeys-lru", "volatile-lru"] as const)
    it(`that is full and evicts by ${policy} lose the oldest days first`, async () => {
      const today = dayOf(tickStartMs);
      const keys = createKeys("targetvpc");
      const days = Array.from({ length: 10 }, (_, n) => today - 10 + n);
      for (const day of days) {
        const writes = Array.from({ length: 100 }, (_, block) => ({
          day,
          block: String(block),
          blob: Buffer.alloc(2_000, block),
        }));
        await backend.writeBlocks(node, writes, () => dayOf(tickStartMs) * 86_400 + 864_000);
        // As if nobody had touched it since its day was over.
        const key = keys.day("blocks", node, day);
        const dump = await server.client.dumpBuffer(key);
        const idleSeconds = (today - day) * 86_400;
        await server.client.call(
          ...(["RESTORE", key, "864000000", dump, "REPLACE", "IDLETIME", idleSeconds] as const),
        );
      }
      const used = Number(/used_memory:(\d+)/.exec(await server.client.info("memory"))?.[1]);
      await server.client.config("SET", "maxmemory-samples", "64");
      await server.client.config("SET", "maxmemory-policy", policy);
      await server.client.config("SET", "maxmemory", String(used - 1_000_000));
      await pass(400);
      const left: number[] = [];
      for (const day of days)
        if ((await server.client.exists(keys.day("blocks", node, day))) === 1) left.push(day);
      assert.ok(left.length > 0 && left.length < days.length, left.join());
      assert.deepEqual(left, days.slice(-left.length), "the newest are left");
      assert.deepEqual(await faults(), []);
      assert.deepEqual(kept.of("warn"), []);
    });
});
