import assert from "node:assert/strict";
import fc from "fast-check";
import type { Backend, DayPart, SeriesStore } from "../../src/store/contract.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { createKeys, type Keys } from "../../src/store/redis/keys.ts";
import { dayMs, dayOf } from "../../src/store/slots.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { faultsOfTicks, seriesStore, tickRow, tickStartMs, tickStepMs } from "../support/store.ts";

const node = "prod/node-1";
const ticksOfDay = dayMs / tickStepMs;
const ticksOfBlock = 60;

/** Some ticks, one after the other. */
function ticks(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

/** All of the first days of the node. */
const everything = {
  node,
  selectors: [{ index: "net_receive", labels: "*" }],
  fromMs: tickStartMs,
  toMs: tickStartMs + 3 * dayMs,
} as const;

describe("what others put under our keys", function () {
  this.timeout(60_000);
  let server: TestRedis;
  let clock: ManualClock;
  let backend: Backend;
  let kept: ReturnType<typeof recordLog>;
  let keys: Keys;
  let used = 0;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    clock = new ManualClock(tickStartMs);
    kept = recordLog();
    const prefix = `f${used++}`;
    keys = createKeys(prefix);
    backend = createRedisBackend(server.settings({ prefix }), {
      clock,
      log: kept.log,
      retentionDays: () => 7,
    });
    backend.start();
    await eventually("redis is connected", () => backend.status().status === "ok");
  });
  afterEach(() => backend.stop());

  const write = async (store: SeriesStore, wanted: readonly number[]): Promise<void> => {
    for (const tick of wanted) {
      await clock.advance(Math.max(0, tickStartMs + tick * tickStepMs - clock.now()));
      store.append(tickRow(tick));
      await store.flush();
    }
  };
  const own = (): SeriesStore => seriesStore(backend, clock, { log: kept.log });
  const other = (): SeriesStore =>
    seriesStore(backend, clock, { node: "prod/node-2", log: kept.log });
  const keyOf = (part: DayPart, tick = 0): string =>
    keys.day(part, node, dayOf(tickStartMs + tick * tickStepMs));
  const reconnect = async (): Promise<void> => {
    const epoch = backend.epoch();
    await server.client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes");
    await eventually("redis is connected again", () => backend.epoch() > epoch);
  };

  const foreign: readonly (readonly [string, (key: string) => Promise<unknown>])[] = [
    ["a text", (key) => server.client.set(key, "somebody else's")],
    ["a list", (key) => server.client.lpush(key, "somebody", "else")],
    ["a set", (key) => server.client.sadd(key, "somebody", "else")],
    ["a sorted set", (key) => server.client.zadd(key, 1, "somebody")],
    ["a stream", (key) => server.client.xadd(key, "*", "somebody", "else")],
  ];
  for (const [what, put] of foreign)
    for (const part of ["blocks", "columns", "tier"] as const)
      it(`${what} in the place of the ${part} of a day is left alone and counted, and hides nothing else`, async () => {
        const [before, after] = [ticks(ticksOfDay - 180, 20), ticks(ticksOfDay, 20)];
        const store = own();
        await write(store, [...before, ...after]);
        const key = keyOf(part);
        await server.client.del(key);
        await put(key);
        const dump = await server.client.dumpBuffer(key);
        const readable = part === "blocks" ? after : [...before, ...after];

        const seen = recordLog();
        const reader = seriesStore(backend, clock, { node: "prod/node-2", log: seen.log });
        for (let time = 0; time < 2; time++)
          assert.deepEqual(await faultsOfTicks(reader, node, readable), []);
        const range = { node, fromMs: tickStartMs, toMs: clock.now() };
        assert.equal((await reader.seriesKeys(range)).length, 12);
        assert.equal(reader.counters().unreadableBlocks, 1);
        assert.deepEqual(seen.of("warn"), ["stored block unreadable"]);

        await reconnect();
        const later = ticks(ticksOfDay + 20, 2 * ticksOfBlock);
        await write(store, later);
        assert.deepEqual(await faultsOfTicks(other(), node, [...readable, ...later]), []);
        assert.equal(store.counters().dirtyBlocks, part === "blocks" ? 1 : 0);
        const restarted = own();
        const last = ticks(ticksOfDay + 20 + 2 * ticksOfBlock, 3);
        await write(restarted, last);
        assert.deepEqual(await faultsOfTicks(other(), node, [...readable, ...later, ...last]), []);
        assert.deepEqual(await server.client.dumpBuffer(key), dump);
        assert.equal(backend.status().status, "ok");
      });

  for (const part of ["columns", "tier"] as const)
    it(`does not keep later days from being compacted when it stands in the place of the ${part} of one`, async () => {
      const store = own();
      const days = [0, 1, 2].map((day) => day * ticksOfDay);
      for (const tick of days) await write(store, ticks(tick, 2 * ticksOfBlock));
      await server.client.del(keyOf(part));
      await server.client.set(keyOf(part), "somebody else's");
      await clock.advance(dayMs);
      await store.flush();
      const refused = { code: "STORE_UNAVAILABLE", message: /WRONGTYPE/ };
      for (let look = 0; look < 2; look++) {
        await assert.rejects(store.keep(), refused);
        await clock.advance(7 * 3_600_000);
      }
      for (const other of ["columns", "tier"] as const)
        for (const tick of days.slice(1))
          assert.equal(await server.client.type(keyOf(other, tick)), "hash", `${other} of ${tick}`);
      assert.equal(await server.client.get(keyOf(part)), "somebody else's");
    });

  it("counts and skips every truncation of a block, and reads the blocks beside it", async () => {
    await write(own(), ticks(0, 3 * ticksOfBlock));
    const whole = await server.client.hgetBuffer(keyOf("blocks"), "1");
    assert.ok(whole !== null);
    const beside = [...ticks(0, ticksOfBlock), ...ticks(2 * ticksOfBlock, ticksOfBlock)];
    for (let length = 0; length < whole.length; length++) {
      await server.client.hset(keyOf("blocks"), "1", whole.subarray(0, length));
      const reader = other();
      assert.deepEqual(await faultsOfTicks(reader, node, beside), []);
      const { timesMs } = await reader.read(everything);
      assert.equal(timesMs.length, beside.length, `${length} of ${whole.length} bytes were read`);
      assert.equal(reader.counters().unreadableBlocks, 1);
    }
  });

  it("gives no wrong row of another block, whatever stands in one", async () => {
    await write(own(), ticks(0, 3 * ticksOfBlock));
    const whole = await server.client.hgetBuffer(keyOf("blocks"), "1");
    assert.ok(whole !== null);
    const beside = [...ticks(0, ticksOfBlock), ...ticks(2 * ticksOfBlock, ticksOfBlock)];
    const flipped = fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }));
    const garbage = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(flipped, { minLength: 1, maxLength: 3 }).map((flips) => {
        const bytes = Uint8Array.from(whole);
        for (const [at, bits] of flips) bytes[at] = (bytes[at] ?? 0) ^ bits;
        return bytes;
      }),
    );
    await fc.assert(
      fc.asyncProperty(garbage, async (bytes) => {
        await server.client.hset(keyOf("blocks"), "1", Buffer.from(bytes));
        assert.deepEqual(await faultsOfTicks(other(), node, beside), []);
      }),
      { numRuns: 150 },
    );
  });

  it("leaves a newer agent's blocks as they are, over restarts and reconnections", async () => {
    const newer = Buffer.from([9, 200, 1, 2, 3]);
    const places = ["0", "2", "h0"];
    for (const name of places) await server.client.hset(keyOf("blocks"), name, newer);
    let store = own();
    await write(store, ticks(0, ticksOfBlock + 20));
    await reconnect();
    await write(store, ticks(ticksOfBlock + 20, 40));
    store = own();
    await write(store, ticks(2 * ticksOfBlock, 2 * ticksOfBlock));
    for (const name of places)
      assert.deepEqual(await server.client.hgetBuffer(keyOf("blocks"), name), newer, name);
    const stored = [...ticks(ticksOfBlock, ticksOfBlock), ...ticks(3 * ticksOfBlock, ticksOfBlock)];
    const reader = other();
    assert.deepEqual(await faultsOfTicks(reader, node, stored), []);
    assert.equal(reader.counters().unreadableBlocks, places.length);
    assert.equal(store.counters().dirtyBlocks, 0);
    assert.deepEqual(await faultsOfTicks(store, node, ticks(2 * ticksOfBlock, ticksOfBlock)), []);
  });

  it("leaves fields alone that are no block, and schemas it cannot read", async () => {
    const strangers = {
      "": "x",
      "-1": "x",
      "00": "x",
      "144": "x",
      h24: "x",
      s0: "x",
      s256: "x",
      s1: '{"step_ms":10000,"series":[["cpu",1,"%",{"of":"the future"}]]}',
      s2: "{broken",
      s3: "",
      __proto__x: "x",
    };
    await server.client.hset(keyOf("blocks"), strangers);
    const store = own();
    await write(store, ticks(0, ticksOfBlock + 5));
    assert.deepEqual(await faultsOfTicks(other(), node, ticks(0, ticksOfBlock + 5)), []);
    const there = await server.client.hgetall(keyOf("blocks"));
    for (const [name, value] of Object.entries(strangers)) assert.equal(there[name], value, name);
    assert.equal(other().counters().unreadableBlocks, 0);
  });

  it("finds another schema when the one in use is garbled under way", async () => {
    const store = own();
    await write(store, ticks(0, ticksOfBlock + 10));
    await server.client.hset(keyOf("blocks"), "s1", "{broken");
    const reader = other();
    const { timesMs } = await reader.read(everything);
    assert.equal(timesMs.length, 0);
    assert.equal(reader.counters().unreadableBlocks, 2);
    await write(store, ticks(ticksOfBlock + 10, 2 * ticksOfBlock));
    const from = ticks(2 * ticksOfBlock, ticksOfBlock + 10);
    assert.deepEqual(await faultsOfTicks(other(), node, from), []);
    assert.equal(await server.client.hget(keyOf("blocks"), "s1"), "{broken");
  });
});

describe("a clock that jumps", function () {
  this.timeout(60_000);
  let server: TestRedis;
  let clock: ManualClock;
  let backend: Backend;

  before(async () => {
    server = await startRedis();
  });
  after(() => server.stop());
  beforeEach(async () => {
    clock = new ManualClock(tickStartMs);
    await server.client.flushall();
    const deps = { clock, log: recordLog().log, retentionDays: () => 7 };
    backend = createRedisBackend(server.settings(), deps);
    backend.start();
    await eventually("redis is connected", () => backend.status().status === "ok");
  });
  afterEach(() => backend.stop());
  const tickNow = (): number => Math.floor((clock.now() - tickStartMs) / tickStepMs);
  /** Samples as an agent takes them: under the time its clock shows. */
  const run = async (store: SeriesStore, count: number): Promise<void> => {
    for (let left = count; left > 0; left--) {
      store.append(tickRow(tickNow()));
      await store.flush();
      await clock.advance(tickStepMs);
    }
  };
  const restarts = [
    ["the same agent", (store: SeriesStore) => store],
    ["an agent that is restarted at each jump", () => seriesStore(backend, clock)],
  ] as const;
  for (const [who, next] of restarts)
    it(`costs ${who} only the slots that were stamped wrongly, 7 min back, a day ahead and right again`, async () => {
      let store = seriesStore(backend, clock);
      const jump = (ms: number): number => {
        clock.jump(ms);
        store = next(store);
        return tickNow();
      };
      await run(store, 200);
      jump(-420_000);
      await run(store, 100);
      const before = ticks(0, tickNow());
      // The true time went on meanwhile: these 42 slots and the five of the next day are never stamped.
      jump(420_000 + dayMs);
      await run(store, 5);
      const after = ticks(jump(-dayMs), 200);
      assert.equal(after[0], before.length + 42 + 5);
      await run(store, 200);
      const right = [...before, ...after];
      const reader = seriesStore(backend, clock, { node: "prod/node-2" });
      for (const one of [reader, store])
        assert.deepEqual(await faultsOfTicks(one, node, right), []);
      const { timesMs } = await reader.read({ ...everything, toMs: clock.now() });
      assert.deepEqual(
        Array.from(timesMs, (timeMs) => (timeMs - tickStartMs) / tickStepMs),
        right,
      );
      assert.equal(store.counters().dirtyBlocks, 0);
      const stray = createKeys("targetvpc").day("blocks", node, dayOf(tickStartMs) + 1);
      assert.ok((await server.client.ttl(stray)) > 0, "the stray rows do not expire");
      // A day later their time comes: they are in the way of nothing.
      const dayAfter = ticksOfDay + 230;
      await clock.advance((dayAfter - tickNow()) * tickStepMs);
      await run(store, 60);
      assert.deepEqual(await faultsOfTicks(reader, node, ticks(dayAfter, 60)), []);
    });
});
