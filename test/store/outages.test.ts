import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Backend, SeriesStore } from "../../src/store/contract.ts";
import { RecordLog } from "../../src/store/file/log.ts";
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

  it("that comes back with a file of an hour before, over midnight, lose nothing of a living agent", async () => {
    const midnight = 24 * hourTicks;
    await clock.advance((midnight - 100) * tickStepMs);
    tick = midnight - 100;
    await pass(70);
    await server.client.save();
    await pass(30 + hourTicks);
    await server.kill();
    await eventually("it is missed", () => backend.status().status === "down");
    await server.restart();
    await isUp();
    await pass(10);
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const ticks = Array.from({ length: 110 + hourTicks }, (_, at) => midnight - 100 + at);
    assert.deepEqual(await faultsOfTicks(reader, node, ticks), []);
  });

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
    // It may take the connection that stood still, or a new one, and then waits for its turn.
    await eventually("all is sent", async () => {
      await clock.advance(tickStepMs);
      await store.flush();
      return store.counters().dirtyBlocks === 0;
    });
    const reader = seriesStore(backend, clock, { node: "prod/reader" });
    const ticks = Array.from({ length: 2_010 }, (_, at) => at);
    assert.deepEqual((await faultsOfTicks(reader, node, ticks)).slice(0, 5), []);
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

describe("the backlog on disk", () => {
  let server: TestRedis;
  let dir: string;
  let clock: ManualClock;
  let kept: ReturnType<typeof recordLog>;
  let tick: number;
  const running: Backend[] = [];

  const open = (options: { maxBytes?: number; at?: string } = {}) => {
    const deps = { clock, log: kept.log, retentionDays: () => 7 };
    const backend = createRedisBackend(server.settings(), deps);
    backend.start();
    running.push(backend);
    const place = { dir: options.at ?? dir, ...options };
    return { backend, store: seriesStore(backend, clock, { log: kept.log, ...place }) };
  };
  const isDown = (backend: Backend): Promise<void> =>
    eventually("it is missed", () => backend.status().status === "down");
  const isUp = (backend: Backend): Promise<void> =>
    eventually("redis is connected", () => backend.status().status === "ok", 15_000);
  const pass = async (store: SeriesStore, count: number): Promise<void> => {
    for (let end = tick + count; tick < end; tick++) {
      store.append(tickRow(tick));
      await store.flush();
      await clock.advance(tickStepMs);
    }
  };
  /** Sends everything, also what waits for its turn. */
  const drain = async (store: SeriesStore): Promise<void> => {
    await store.flush();
    await clock.advance(60_000);
    for (let rounds = 0; store.counters().dirtyBlocks > 0; rounds++) {
      assert.ok(rounds < 60, `${store.counters().dirtyBlocks} blocks still wait`);
      await store.flush();
    }
  };
  const faults = async (store: SeriesStore, first = 0): Promise<string[]> => {
    const ticks = Array.from({ length: tick - first }, (_, at) => first + at);
    return (await faultsOfTicks(store, node, ticks)).slice(0, 5);
  };

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-backlog-"));
    server = await startRedis();
    kept = recordLog();
    clock = new ManualClock(tickStartMs);
    tick = 0;
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.stop();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("brings what a stopped agent could not send", async () => {
    await server.kill();
    const first = open();
    await isDown(first.backend);
    await pass(first.store, 400);
    await first.store.close();
    await first.backend.stop();
    const second = open();
    await second.store.restore();
    assert.equal(second.store.counters().dirtyBlocks, 7);
    await isDown(second.backend);
    await pass(second.store, 10);
    await server.restart();
    await isUp(second.backend);
    await drain(second.store);
    const reader = seriesStore(second.backend, clock, { node: "prod/reader" });
    assert.deepEqual(await faults(reader), []);
    assert.deepEqual(await faults(second.store), []);
    await second.store.close();
    const third = open();
    await third.store.restore();
    assert.equal(third.store.counters().dirtyBlocks, 0, "what was sent is gone from the disk");
  });

  it("has all but the last rows of one that was killed, and joins them with what is new", async () => {
    await server.kill();
    const first = open();
    await isDown(first.backend);
    await pass(first.store, 130);
    await eventually("the disk has it", async () => {
      const seen = open().store;
      await seen.restore();
      return (await faults(seen)).length === 0;
    });
    // Killed: nothing is closed. The next one has already sampled when it comes to look.
    const second = open();
    second.store.append(tickRow(tick++));
    await second.store.restore();
    await server.restart();
    await isUp(second.backend);
    await pass(second.store, 5);
    await drain(second.store);
    const reader = seriesStore(second.backend, clock, { node: "prod/reader" });
    assert.deepEqual(await faults(reader), []);
  });

  it("is written while Redis is there and refuses what is new", async () => {
    const { backend, store } = open();
    await isUp(backend);
    await pass(store, 30);
    await server.client.config("SET", "maxmemory", "1");
    await pass(store, 130);
    assert.equal(backend.status().status, "ok");
    await eventually("the disk has it", async () => {
      const seen = open().store;
      await seen.restore();
      // Killed now, an agent loses so much of the open block as comes between two looks.
      return (await faults(seen, 30)).length === 0;
    });
  });

  it("leaves a newer agent's block on disk, and goes on with the others", async () => {
    await server.kill();
    const first = open();
    await isDown(first.backend);
    await pass(first.store, 130);
    await first.store.close();
    const file = new RecordLog({ dir, name: "backlog", log: kept.log });
    const keys = await file.keys();
    assert.equal(keys.length, 3);
    const values = await file.read(keys);
    const newer = Buffer.from(values[1] ?? []);
    newer[newer.indexOf("\n") + 1] = 2;
    await file.write(new Map([[keys[1] ?? "", newer]]));
    await server.restart();
    const second = open();
    await isUp(second.backend);
    await second.store.restore();
    await drain(second.store);
    await second.store.close();
    const reader = seriesStore(second.backend, clock, { node: "prod/reader" });
    const ticks = Array.from({ length: 130 }, (_, at) => at).filter((at) => at < 60 || at >= 120);
    assert.deepEqual(await faultsOfTicks(reader, node, ticks), []);
    assert.deepEqual(await faultsOfTicks(second.store, node, ticks), []);
    assert.deepEqual(await file.keys(), [keys[1]]);
    await file.close();
  });

  it("is not written while the backend is there", async () => {
    const { backend, store } = open();
    await isUp(backend);
    await pass(store, 100);
    await store.close();
    assert.deepEqual(await readdir(dir), []);
  });

  it("lets the oldest go when it is full", async () => {
    await server.kill();
    const first = open({ maxBytes: 10_000 });
    await isDown(first.backend);
    await pass(first.store, 3_000);
    await first.store.close();
    const second = open({ maxBytes: 10_000 });
    await second.store.restore();
    const left = second.store.counters().dirtyBlocks;
    assert.ok(left > 3 && left < 45, `${left} blocks`);
    assert.deepEqual(await faults(second.store, tick - (left - 1) * 60), []);
  });

  it("that cannot be written is missed once, memory goes on, and it is written when it can be again", async () => {
    const full = path.join(dir, "full");
    await mkdir(full);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", full]);
    try {
      await server.kill();
      const { backend, store } = open({ at: full });
      await isDown(backend);
      await writeFile(path.join(full, "filler"), Buffer.alloc(1_040_000));
      await pass(store, 600);
      await eventually("it is said", () => kept.of("warn").length === 2);
      assert.match(kept.text(), /no space left|ENOSPC/);
      await pass(store, 60);
      await rm(path.join(full, "filler"));
      await pass(store, 60);
      await eventually("it is said", () => kept.of("info").length === 1);
      assert.deepEqual(kept.of("info"), ["backlog kept on disk again"]);
      await store.close();
      const next = open({ at: full });
      await next.store.restore();
      assert.deepEqual(await faults(next.store), []);
      // By the next agent, where the disk took the beginning of a record: it cannot know how that came about.
      const damaged = "stored file damaged; the rest of it counts";
      assert.deepEqual(
        new Set(kept.of("warn").filter((event) => event !== damaged)),
        new Set(["backlog not kept on disk; it stays in memory", "redis unavailable"]),
      );
    } finally {
      execFileSync("umount", ["--lazy", full]);
    }
  });

  it("in a directory that is read-only is missed once", async () => {
    const only = path.join(dir, "read-only");
    await mkdir(only);
    execFileSync("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", only]);
    try {
      await server.kill();
      const { backend, store } = open({ at: only });
      await isDown(backend);
      await pass(store, 100);
      await store.close();
      assert.equal(kept.of("warn").length, 2);
      assert.match(kept.text(), /EROFS/);
      assert.deepEqual(await faults(store), []);
    } finally {
      execFileSync("umount", ["--lazy", only]);
    }
  });

  it("that was garbled gives what is left of it", async () => {
    await server.kill();
    const first = open();
    await isDown(first.backend);
    for (let block = 0; block < 5; block++) {
      await pass(first.store, 60);
      await first.store.close();
    }
    await first.backend.stop();
    const [file = ""] = await readdir(dir);
    const bytes = await readFile(path.join(dir, file));
    bytes.fill(0x5a, Math.floor(bytes.length / 2), Math.floor(bytes.length / 2) + 40);
    await writeFile(path.join(dir, file), bytes.subarray(0, bytes.length - 3));
    const second = open();
    await second.store.restore();
    const left = second.store.counters().dirtyBlocks;
    assert.ok(left >= 3, `${left} blocks`);
    assert.ok(kept.of("warn").includes("stored file damaged; the rest of it counts"));
  });
});
