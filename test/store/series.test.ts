import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { parseSelector } from "../../src/core/series.ts";
import { encodeBlock } from "../../src/store/format/block-codec.ts";
import type { RecentData, RecentQuery, SeriesData, SeriesStore } from "../../src/store/contract.ts";
import { createHead } from "../../src/store/write/head.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { expirySeconds } from "../../src/store/series.ts";
import { blockMs, blockName, dayOf, spanAt } from "../../src/store/slots.ts";
import { ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { row, rowsOf, seriesStore, wideRow } from "../support/store.ts";

const node = "prod/node-1";
const stepMs = 10_000;
const startMs = Date.UTC(2026, 0, 5, 12, 0, 0);

const halfHourMs = 30 * 60_000;

/** What a message about cpu shows at the newest row, unless told otherwise. */
function recent(store: SeriesStore, changes: Partial<RecentQuery> = {}): RecentData {
  const newestMs = store.latest()?.slotMs ?? startMs;
  const asked = { key: "cpu", toMs: newestMs, spanMs: halfHourMs, maxValues: 180 };
  return store.recent({ ...asked, aggregate: "max", ...changes });
}

describe("series store", () => {
  let clock: ManualClock;
  let backend: ReturnType<typeof createMemoryBackend>;

  const read = (
    store: SeriesStore,
    from: number,
    to: number,
    ...series: string[]
  ): Promise<SeriesData> =>
    store.read({ node, selectors: series.map(parseSelector), fromMs: from, toMs: to });

  /** Appends a row at each slot as time passes, flushing each. */
  const run = async (
    store: SeriesStore,
    ticks: number,
    values: (tick: number) => Record<string, number | null>,
  ): Promise<void> => {
    for (let tick = 0; tick < ticks; tick++) {
      store.append(wideRow(clock.now(), values(tick)));
      await store.flush();
      await clock.advance(stepMs);
    }
  };

  beforeEach(() => {
    clock = new ManualClock(startMs);
    backend = createMemoryBackend({ clock });
  });

  it("gives back what was appended, rounded to the decimals of its index", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 12.34, memory: null, net_receive: 1_234.5 }));
    store.append(row(startMs + stepMs, { cpu: 99.96 }));
    assert.deepEqual(
      rowsOf(await read(store, startMs, startMs + stepMs, "cpu", "memory", "net_receive")),
      [
        [startMs, { cpu: 12.3, net_receive: 1_235 }],
        [startMs + stepMs, { cpu: 100, net_receive: null }],
      ],
    );
  });

  it("reads the same from memory, from the backend and from another store", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 12.34, 'disk{mount="/"}': 50.55 }));
    const before = await read(store, startMs, startMs, "cpu", "disk{*}");
    await store.flush();
    assert.deepEqual(await read(store, startMs, startMs, "cpu", "disk{*}"), before);
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    assert.deepEqual(await read(other, startMs, startMs, "cpu", "disk{*}"), before);
  });

  it("leaves a gap where nothing was sampled and null where a value is missing", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 1 }));
    store.append(row(startMs + 3 * stepMs, { cpu: null }));
    store.append(row(startMs + 4 * stepMs, { cpu: 2 }));
    const data = await read(store, startMs, startMs + 600_000, "cpu");
    assert.deepEqual([...data.timesMs], [startMs, startMs + 3 * stepMs, startMs + 4 * stepMs]);
    assert.deepEqual(data.columns.get("cpu"), [1, null, 2]);
  });

  it("gives no column for a series that is nowhere in the range", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 1, 'disk{mount="/"}': 2, 'disk{mount="/data"}': 3 }));
    const asked = ["temperature", "cpu", 'disk{mount="/tmp"}', 'disk{mount="/data"}'];
    const data = await read(store, startMs, startMs, ...asked);
    assert.deepEqual([...data.columns.keys()].sort(), ["cpu", 'disk{mount="/data"}']);
    const all = await read(store, startMs, startMs, "disk{*}");
    assert.deepEqual([...all.columns.keys()], ['disk{mount="/"}', 'disk{mount="/data"}']);
    assert.deepEqual([...(await read(store, startMs, startMs, "disk")).columns.keys()], []);
  });

  it("cuts to the range, both ends inclusive", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 200, (tick) => ({ cpu: tick % 100 }));
    const data = await read(store, startMs + 50 * stepMs, startMs + 150 * stepMs, "cpu");
    assert.equal(data.timesMs.length, 101);
    assert.equal(data.timesMs[0], startMs + 50 * stepMs);
    assert.deepEqual(
      data.timesMs,
      data.timesMs.toSorted((a, b) => a - b),
    );
  });

  it("answers a range of all time without asking for every day of it", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 1 }));
    await store.flush();
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    const data = await read(other, 0, Number.MAX_SAFE_INTEGER, "cpu");
    assert.deepEqual([...data.timesMs], [startMs]);
  });

  it("keeps any series coming and going, over days and restarts", async () => {
    const keys = ["cpu", "memory", 'disk{mount="/"}', 'disk{mount="/a"}', "net_receive", "odd"];
    const tick = fc.record({
      skip: fc.integer({ min: 0, max: 40 }),
      values: fc.dictionary(
        fc.constantFrom(...keys),
        fc.option(fc.integer({ min: -1_000, max: 1_000_000 }), { freq: 5 }),
      ),
      restart: fc.integer({ min: 0, max: 9 }),
      flush: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(tick, { maxLength: 60 }), async (ticks) => {
        clock = new ManualClock(Date.UTC(2026, 0, 5, 23, 30));
        backend = createMemoryBackend({ clock });
        const fromMs = clock.now();
        const expected = new Map<number, Map<string, number>>();
        let store = seriesStore(backend, clock);
        for (const { skip, values, restart, flush } of ticks) {
          await clock.advance(stepMs * (1 + skip));
          if (restart === 0) {
            await store.flush();
            store = seriesStore(backend, clock);
          }
          store.append(row(clock.now(), values));
          const kept = Object.entries(values).filter(
            (entry): entry is [string, number] => entry[1] !== null,
          );
          expected.set(clock.now(), new Map(kept));
          if (flush) await store.flush();
        }
        const data = await read(store, fromMs, clock.now(), ...keys, "disk{*}");
        assert.deepEqual([...data.timesMs], [...expected.keys()]);
        for (const [index, values] of [...expected.values()].entries())
          for (const key of keys)
            assert.equal(data.columns.get(key)?.[index] ?? null, values.get(key) ?? null);
        assert.equal(store.counters().unreadableBlocks, 0);
      }),
      { numRuns: 40 },
    );
  });

  it("works with every step, also one that does not divide ten minutes", async () => {
    for (const seconds of [1, 7, 13, 60, 299, 300]) {
      const step = seconds * 1_000;
      clock = new ManualClock(Math.ceil(startMs / step) * step);
      const store = seriesStore(backend, clock, { node: `prod/s${seconds}`, stepMs: () => step });
      const times: number[] = [];
      for (let tick = 0; tick < 20; tick++) {
        times.push(clock.now());
        store.append(row(clock.now(), { cpu: tick }));
        await store.flush();
        await clock.advance(step);
      }
      const query = { selectors: [parseSelector("cpu")], fromMs: times[0] ?? 0, toMs: clock.now() };
      const other = seriesStore(backend, clock);
      const data = await other.read({ node: `prod/s${seconds}`, ...query });
      assert.deepEqual([...data.timesMs], times, `${seconds} s`);
    }
  });

  it("keeps both kinds of slots when the interval changes within a block", async () => {
    let step = 10_000;
    const store = seriesStore(backend, clock, { stepMs: () => step });
    store.append(row(startMs, { cpu: 1 }));
    store.append(row(startMs + 10_000, { cpu: 2 }));
    await store.flush();
    step = 15_000;
    store.append(row(startMs + 15_000, { cpu: 3 }));
    store.append(row(startMs + 30_000, { cpu: 4 }));
    await store.flush();
    const data = await read(seriesStore(backend, clock), startMs, startMs + 60_000, "cpu");
    assert.deepEqual(rowsOf(data), [
      [startMs, { cpu: 1 }],
      [startMs + 10_000, { cpu: 2 }],
      [startMs + 15_000, { cpu: 3 }],
      [startMs + 30_000, { cpu: 4 }],
    ]);
  });

  it("takes the newest row of a slot when the clock went back", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 1 }));
    await store.flush();
    store.append(row(startMs, { cpu: 2 }));
    await store.flush();
    assert.deepEqual(rowsOf(await read(seriesStore(backend, clock), startMs, startMs, "cpu")), [
      [startMs, { cpu: 2 }],
    ]);
  });

  it("merges with what a former process wrote before it rewrites a block", async () => {
    await run(seriesStore(backend, clock), 20, (tick) => ({ cpu: tick }));
    const second = seriesStore(backend, clock);
    await run(second, 20, (tick) => ({ memory: tick }));
    const third = seriesStore(backend, clock);
    const data = await read(third, startMs, clock.now(), "cpu", "memory");
    assert.equal(data.timesMs.length, 40);
    assert.deepEqual(
      data.columns.get("cpu")?.slice(0, 20),
      Array.from({ length: 20 }, (_, n) => n),
    );
    assert.equal(data.columns.get("memory")?.[39], 19);
  });

  it("merges a late row with a block that has long left memory", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 60, (tick) => ({ cpu: tick }));
    await clock.advance(2 * 86_400_000);
    store.append(wideRow(clock.now(), { cpu: 1 }));
    await store.flush();
    store.append(wideRow(startMs + 5 * stepMs, { cpu: 77 }));
    await store.flush();
    const data = await read(seriesStore(backend, clock), startMs, startMs + 599_999, "cpu");
    assert.equal(data.timesMs.length, 60);
    assert.equal(data.columns.get("cpu")?.[5], 77);
    assert.equal(data.columns.get("cpu")?.[6], 6);
  });

  const stored = async (day: number, block: string): Promise<Uint8Array | null | undefined> => {
    const [values] = await backend.read(node, [{ part: "blocks", day, names: [block] }]);
    return values?.[0];
  };

  it("sends a closed block once more a quarter into the next one", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 61, (tick) => ({ cpu: tick }));
    const [day, block] = [dayOf(startMs), blockName(spanAt(startMs, blockMs))];
    const stale = encodeBlock(1, { slots: [0], columns: [[5]] });
    // As after a failover to a replica that had not yet got the last rows.
    await backend.writeBlocks(node, [{ day, block, blob: stale }], () => 4_000_000_000);
    await run(store, 10, (tick) => ({ cpu: tick }));
    assert.deepEqual(await stored(day, block), stale, "too early");
    await run(store, 10, (tick) => ({ cpu: tick }));
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    assert.equal((await read(other, startMs, startMs + 599_999, "cpu")).timesMs.length, 60);
    await backend.writeBlocks(node, [{ day, block, blob: stale }], () => 4_000_000_000);
    await run(store, 30, (tick) => ({ cpu: tick }));
    assert.deepEqual(await stored(day, block), stale, "sent once only");
  });

  it("sends at most 64 blocks of a backlog at once, the oldest first", async () => {
    const store = seriesStore(backend, clock, { retentionDays: () => 7 });
    for (let block = 0; block < 100; block++) {
      store.append(wideRow(clock.now(), { cpu: block }));
      await clock.advance(600_000);
    }
    assert.equal(store.counters().dirtyBlocks, 100);
    await store.flush();
    assert.equal(store.counters().dirtyBlocks, 36);
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    assert.equal((await read(other, startMs, startMs + 63 * 600_000, "cpu")).timesMs.length, 64);
    await store.flush();
    assert.equal(store.counters().dirtyBlocks, 0);
    assert.equal((await read(other, startMs, clock.now(), "cpu")).timesMs.length, 100);
  });

  it("lets others run between the blocks of a backlog it sends", async () => {
    const store = seriesStore(backend, clock);
    for (let block = 0; block < 50; block++) {
      store.append(wideRow(clock.now(), { cpu: block }));
      await clock.advance(600_000);
    }
    void store.flush();
    for (let turn = 0; turn < 25; turn++) await setImmediate();
    assert.equal(store.counters().dirtyBlocks, 50, "it is still at it");
    for (let turn = 0; turn < 50; turn++) await setImmediate();
    assert.equal(store.counters().dirtyBlocks, 0);
  });

  it("keeps a row that comes while its block is being sent", async () => {
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 1 }));
    void store.flush();
    store.append(row(startMs + stepMs, { cpu: 2, memory: 3 }));
    const next = store.flush();
    assert.equal(store.flush(), next, "one flush on its way and one after it, not more");
    await next;
    const data = await read(
      seriesStore(backend, clock),
      startMs,
      clock.now() + stepMs,
      "cpu",
      "memory",
    );
    assert.deepEqual(
      rowsOf(data).map(([, values]) => values),
      [
        { cpu: 1, memory: null },
        { cpu: 2, memory: 3 },
      ],
    );
  });

  it("keeps a row that comes at any moment of a flush, also on another grid", async () => {
    const selectors = [parseSelector("cpu"), parseSelector("memory")];
    for (let moment = 0; moment < 40; moment++)
      for (const nextMs of [startMs + stepMs, startMs + 15_000]) {
        const name = `prod/moment-${moment}-${nextMs}`;
        const query = { node: name, selectors, fromMs: startMs - 600_000, toMs: startMs + 600_000 };
        const store = seriesStore(backend, clock, { node: name });
        store.append(row(startMs, { cpu: 1 }));
        const flushing = store.flush();
        for (let turn = 0; turn < moment; turn++) await Promise.resolve();
        store.append(row(nextMs, { cpu: 2, memory: 3 }));
        await flushing;
        const between = await seriesStore(backend, clock).read(query);
        assert.ok(between.timesMs.every((timeMs) => timeMs === startMs || timeMs === nextMs));
        await store.flush();
        const data = await seriesStore(backend, clock).read(query);
        assert.deepEqual([...data.timesMs], [startMs, nextMs]);
        assert.deepEqual(data.columns.get("memory"), [null, 3], `after ${moment} turns`);
      }
  });

  it("lets memory win over a row that a former process stored of the same slot, and keeps what only that one had", async () => {
    const former = seriesStore(backend, clock);
    former.append(row(startMs, { cpu: 1, memory: 5 }));
    former.append(row(startMs + stepMs, { cpu: 3 }));
    await former.flush();
    const store = seriesStore(backend, clock);
    store.append(row(startMs, { cpu: 2 }));
    const expected = [
      [startMs, { cpu: 2, memory: 5 }],
      [startMs + stepMs, { cpu: 3, memory: null }],
    ];
    const asked = [startMs, startMs + stepMs] as const;
    assert.deepEqual(rowsOf(await read(store, ...asked, "cpu", "memory")), expected);
    await store.flush();
    assert.deepEqual(rowsOf(await read(store, ...asked, "cpu", "memory")), expected);
  });

  it("joins what was stored with another precision", async () => {
    const finer = [{ name: "cpu", unit: "%", decimals: 3, labels: [], help: "" }];
    const former = seriesStore(backend, clock, { definitions: finer });
    former.append(row(startMs, { cpu: 12.345 }));
    await former.flush();
    const store = seriesStore(backend, clock);
    store.append(row(startMs + stepMs, { cpu: 50.55 }));
    await store.flush();
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    for (const reader of [store, other])
      assert.deepEqual(
        (await read(reader, startMs, startMs + stepMs, "cpu")).columns.get("cpu"),
        [12.3, 50.6],
      );
  });

  it("sees a schema that came after it had read the day", async () => {
    const store = seriesStore(backend, clock);
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    await run(store, 1, () => ({ cpu: 1 }));
    assert.equal((await read(other, startMs, clock.now(), "memory")).columns.size, 0);
    await run(store, 1, () => ({ cpu: 1, memory: 2 }));
    const data = await read(other, startMs, clock.now(), "memory");
    assert.deepEqual(data.columns.get("memory"), [null, 2]);
    assert.equal(other.counters().unreadableBlocks, 0);
  });

  it("replaces a garbled block, counts it and says so once", async () => {
    const [day, block] = [dayOf(startMs), blockName(spanAt(startMs, blockMs))];
    const garbage = Uint8Array.from([1, 1, 255, 255, 255]);
    await backend.writeBlocks(node, [{ day, block, blob: garbage }], () => 4_000_000_000);
    const kept = recordLog();
    const store = seriesStore(backend, clock, { log: kept.log });
    await run(store, 3, (tick) => ({ cpu: tick }));
    assert.equal(store.counters().unreadableBlocks, 1);
    assert.deepEqual(kept.of("warn"), ["stored block unreadable"]);
    const data = await read(seriesStore(backend, clock), startMs, clock.now(), "cpu");
    assert.equal(data.timesMs.length, 3);
  });

  it("leaves a block of a newer version alone and goes on with the next", async () => {
    const [day, block] = [dayOf(startMs), blockName(spanAt(startMs, blockMs))];
    const newer = Uint8Array.from([2, 1, 9, 9, 9]);
    await backend.writeBlocks(node, [{ day, block, blob: newer }], () => 4_000_000_000);
    const kept = recordLog();
    const store = seriesStore(backend, clock, { log: kept.log });
    await run(store, 70, (tick) => ({ cpu: tick }));
    assert.deepEqual(await stored(day, block), newer);
    assert.equal(store.counters().dirtyBlocks, 0);
    assert.equal(store.counters().unreadableBlocks, 1);
    assert.deepEqual(kept.of("warn"), ["stored block unreadable"]);
    assert.equal((await read(store, startMs, clock.now(), "cpu")).timesMs.length, 70);
    const other = seriesStore(backend, clock, { node: "prod/node-2", log: kept.log });
    assert.equal((await read(other, startMs, clock.now(), "cpu")).timesMs.length, 10);
  });

  it("skips bad stored blocks of another node, counts each once and says so once", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 180, (tick) => ({ cpu: tick }));
    const day = dayOf(startMs);
    const first = Number(blockName(spanAt(startMs, blockMs)));
    const unknownSchema = encodeBlock(9, { slots: [0], columns: [[1]] });
    const blobs = [Uint8Array.from([]), unknownSchema];
    await backend.writeBlocks(
      node,
      blobs.map((blob, index) => ({ day, block: String(first + index), blob })),
      () => 4_000_000_000,
    );
    const kept = recordLog();
    const other = seriesStore(backend, clock, { node: "prod/node-2", log: kept.log });
    for (let time = 0; time < 3; time++)
      assert.equal((await read(other, startMs, clock.now(), "cpu")).timesMs.length, 60);
    assert.equal(other.counters().unreadableBlocks, 2);
    assert.deepEqual(kept.of("warn"), ["stored block unreadable"]);
  });

  it("uses one schema while series come and go, and the same one after a restart", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 3, () => ({ cpu: 1, 'disk{mount="/"}': 2 }));
    await run(store, 120, () => ({ cpu: 1 }));
    await run(seriesStore(backend, clock), 3, () => ({ 'disk{mount="/"}': 1, cpu: 3 }));
    assert.equal((await backend.readSchemas(node, dayOf(startMs))).size, 1);
    await run(seriesStore(backend, clock), 3, () => ({ memory: 1 }));
    const texts = [...(await backend.readSchemas(node, dayOf(startMs))).values()];
    const { series, ...rest } = JSON.parse(texts[1] ?? "") as { series: string[][] };
    assert.deepEqual(rest, { step_ms: 10_000 });
    assert.deepEqual(
      series.filter(([key]) => !key?.startsWith("other")),
      [
        ["cpu", 1, "%"],
        ['disk{mount="/"}', 1, "%"],
        ["memory", 1, "%"],
      ],
    );
  });

  it("goes on when every schema number of the day is taken, and says what it drops", async () => {
    const day = dayOf(startMs);
    for (let number = 1; number <= 255; number++)
      await backend.addSchema(node, day, { number, json: "garbled", expireAt: 4_000_000_000 });
    const kept = recordLog();
    const store = seriesStore(backend, clock, { log: kept.log });
    await run(store, 3, (tick) => ({ cpu: tick }));
    assert.deepEqual(kept.of("warn"), ["series dropped: the day has no schema number left"]);
    assert.equal((await read(store, startMs, clock.now(), "cpu")).timesMs.length, 3);
  });

  it("lets a day expire after the retention, within the hour of its node", async () => {
    const store = seriesStore(backend, clock, { retentionDays: () => 2 });
    await run(store, 3, (tick) => ({ cpu: tick }));
    const at = expirySeconds(node, dayOf(startMs), 2);
    const endOfDay = (dayOf(startMs) + 1) * 86_400;
    assert.ok(at >= endOfDay + 2 * 86_400 && at < endOfDay + 2 * 86_400 + 3_600);
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    await clock.advance(at * 1_000 - clock.now() - 1);
    assert.equal((await read(other, startMs, clock.now(), "cpu")).timesMs.length, 3);
    await clock.advance(1);
    assert.equal((await read(other, startMs, clock.now(), "cpu")).timesMs.length, 0);
  });

  it("keeps days longer once the retention is raised", async () => {
    let retentionDays = 1;
    const store = seriesStore(backend, clock, { retentionDays: () => retentionDays });
    await run(store, 3, (tick) => ({ cpu: tick }));
    await clock.advance(86_400_000);
    retentionDays = 5;
    await run(store, 1, (tick) => ({ cpu: tick }));
    await clock.advance(3 * 86_400_000);
    const other = seriesStore(backend, clock, { node: "prod/node-2" });
    assert.equal((await read(other, startMs, startMs + 60_000, "cpu")).timesMs.length, 3);
  });

  it("holds no more in memory than the retention and a day of what is sent", async () => {
    const store = seriesStore(backend, clock, { retentionDays: () => 2 });
    for (let block = 0; block < 400; block++) {
      store.append(wideRow(clock.now(), { cpu: block }));
      await clock.advance(600_000);
    }
    await store.flush();
    assert.ok(store.counters().dirtyBlocks <= 2 * 144 + 1 - 64);
    for (let round = 0; round < 5; round++) await store.flush();
    const all = { spanMs: 400 * 600_000, maxValues: Number.POSITIVE_INFINITY };
    const count = recent(store, all).values.filter((value) => value !== null).length;
    assert.ok(count <= 145 && count >= 140, `${count} blocks`);
  });

  it("knows the newest row and the course of a series of late", async () => {
    const store = seriesStore(backend, clock);
    assert.equal(store.latest(), undefined);
    assert.deepEqual(recent(store).values, []);
    await run(store, 200, (tick) => (tick === 198 ? { memory: 1 } : { cpu: tick / 2, memory: 2 }));
    assert.equal(store.latest()?.values.get("cpu"), 99.5);
    const last = startMs + 199 * stepMs;
    const upTo = (toMs: number, spanMs: number): RecentData => recent(store, { toMs, spanMs });
    assert.deepEqual(upTo(last, 40_000), { stepMs, values: [98, 98.5, null, 99.5] });
    assert.deepEqual(upTo(last - stepMs, 30_000).values, [98, 98.5, null], "nothing of later");
    assert.deepEqual(upTo(last + 4 * stepMs, 50_000).values, [99.5, null, null, null, null]);
    assert.equal(upTo(last, halfHourMs).values.length, 180);
    assert.deepEqual(recent(store, { key: "nowhere", toMs: last }).values, []);
  });

  it("begins the course of a series where it first had a value", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 70, (tick) => (tick < 65 ? { cpu: 1 } : { cpu: 1, memory: tick }));
    const toMs = startMs + 69 * stepMs;
    assert.deepEqual(recent(store, { key: "memory", toMs }).values, [65, 66, 67, 68, 69]);
  });

  for (const seconds of [1, 7, 10, 60, 299, 300])
    it(`tells the last half hour, no more and no less, of a sample every ${seconds} s`, () => {
      const intervalMs = seconds * 1_000;
      const store = seriesStore(backend, clock, { stepMs: () => intervalMs });
      const slots = Math.ceil((2 * halfHourMs) / intervalMs);
      for (let slot = 0; slot < slots; slot++)
        store.append(row(startMs + slot * intervalMs, { cpu: slot / 100 }));
      const toMs = startMs + (slots - 1) * intervalMs;
      const { stepMs, values } = recent(store, { toMs });
      assert.ok(values.length <= 180, `${values.length} values`);
      assert.ok(!values.includes(null), "samples without a gap");
      const coveredMs = values.length * stepMs;
      assert.ok(coveredMs >= halfHourMs && coveredMs < halfHourMs + stepMs, `${coveredMs} ms`);
      assert.equal(stepMs % intervalMs, 0, "as many samples in each");
      assert.equal(values.at(-1), Math.round((slots - 1) / 10) / 10, "the newest one is the last");
    });

  it("tells what has just begun sample by sample, also at short intervals", () => {
    const store = seriesStore(backend, clock, { stepMs: () => 1_000 });
    for (let slot = 0; slot < 5; slot++) store.append(row(startMs + slot * 1_000, { cpu: slot }));
    assert.deepEqual(recent(store), { stepMs: 1_000, values: [0, 1, 2, 3, 4] });
  });

  it("tells several samples as the highest or the lowest of them", () => {
    const store = seriesStore(backend, clock, { stepMs: () => 1_000 });
    for (let slot = 0; slot < 1_800; slot++)
      store.append(row(startMs + slot * 1_000, { cpu: slot === 905 ? 99 : slot === 305 ? 1 : 50 }));
    const of = (aggregate: "max" | "min"): Set<number | null> =>
      new Set(recent(store, { toMs: startMs + 1_799_000, aggregate }).values);
    assert.deepEqual([...of("max")], [50, 99]);
    assert.deepEqual([...of("min")], [50, 1]);
  });

  it("keeps what was sampled at another interval, without a hole where that was shorter", () => {
    const course = (before: number, after: number): RecentData => {
      let intervalMs = before;
      const store = seriesStore(createMemoryBackend({ clock }), clock, {
        stepMs: () => intervalMs,
      });
      const middleMs = startMs + 600_000;
      for (let at = startMs; at < middleMs; at += before) store.append(row(at, { cpu: 1 }));
      intervalMs = after;
      for (let at = middleMs; at <= middleMs + 600_000; at += after)
        store.append(row(at, { cpu: 2 }));
      return recent(store);
    };
    const longer = course(10_000, 60_000);
    assert.equal(longer.stepMs, 60_000);
    assert.deepEqual([...new Set(longer.values)], [1, 2]);
    const shorter = course(60_000, 10_000);
    assert.equal(shorter.stepMs, 10_000);
    const counted = [1, 2].map((wanted) => shorter.values.filter((value) => value === wanted));
    assert.deepEqual(
      counted.map(({ length }) => length),
      [10, 61],
    );
  });
});

describe("blocks of an hour", () => {
  let clock: ManualClock;
  let backend: ReturnType<typeof createMemoryBackend>;
  const day = dayOf(startMs);
  const run = async (store: SeriesStore, ticks: number, make: typeof row): Promise<void> => {
    for (let tick = 0; tick < ticks; tick++) {
      store.append(make(clock.now(), { cpu: tick % 100 }));
      await store.flush();
      await clock.advance(stepMs);
    }
  };
  const names = (): Promise<readonly string[]> => backend.names(node, day, "blocks");
  const count = async (store: SeriesStore): Promise<number> => {
    const selectors = [parseSelector("cpu")];
    const data = await store.read({ node, selectors, fromMs: startMs, toMs: clock.now() });
    assert.equal(new Set(data.timesMs).size, data.timesMs.length, "no slot twice");
    return data.timesMs.length;
  };
  const other = (): SeriesStore => seriesStore(backend, clock, { node: "prod/node-2" });

  beforeEach(() => {
    clock = new ManualClock(startMs);
    backend = createMemoryBackend({ clock });
  });

  it("are those of a node with few samples an hour", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 400, row);
    assert.deepEqual(await names(), ["h12", "h13"]);
    for (const reader of [store, other()]) assert.equal(await count(reader), 400);
  });

  for (const [what, series, stepSeconds, isHour] of [
    ["ten series at ten seconds", 10, 10, true],
    ["eleven series at ten seconds", 11, 10, false],
    ["ten series at one second", 10, 1, false],
    ["fifty series at a minute", 50, 60, true],
    ["two hundred series at five minutes", 200, 300, true],
  ] as const)
    it(`are ${isHour ? "" : "not "}made for ${what}`, async () => {
      const store = seriesStore(backend, clock, { stepMs: () => stepSeconds * 1_000 });
      const values = Array.from({ length: series }, (_, n): [string, number] => [`s${n}`, n]);
      store.append(row(startMs, Object.fromEntries(values)));
      await store.flush();
      assert.deepEqual(await names(), [isHour ? "h12" : "72"]);
    });

  it("stay in one form to their end when series come, and change then", async () => {
    const store = seriesStore(backend, clock);
    await run(store, 10, row);
    await run(store, 355, wideRow);
    assert.deepEqual(await names(), ["h12", "78"]);
    await run(store, 5, row);
    assert.deepEqual(await names(), ["h12", "78"]);
    await run(store, 60, row);
    assert.deepEqual(await names(), ["h12", "78", "h13"]);
    for (const reader of [store, other()]) assert.equal(await count(reader), 430);
  });

  it("are joined with what an earlier run kept of the same time in the other form", async () => {
    for (const [before, after] of [
      [row, wideRow],
      [wideRow, row],
    ] as const) {
      clock = new ManualClock(startMs);
      backend = createMemoryBackend({ clock });
      await run(seriesStore(backend, clock), 100, before);
      const store = seriesStore(backend, clock);
      await run(store, 100, after);
      await clock.advance(3 * 86_400_000);
      await store.flush();
      for (const reader of [store, other(), seriesStore(backend, clock)])
        assert.equal(await count(reader), 200);
    }
  });
});

describe("head of the series", () => {
  it("keeps the open and the last block as rows and what is older encoded, until a late row comes", () => {
    const head = createHead();
    const put = (atMs: number): void =>
      head.put(wideRow(atMs, { cpu: 1 }), stepMs, (key) => [key, 1, "%"]);
    for (let block = 0; block < 4; block++) put(startMs + block * 600_000);
    const forms = (): string[] => head.all().map(({ content }) => content.form);
    head.tidy(startMs + 3 * 600_000, { retentionMs: 7 * 86_400_000, keeps: false });
    assert.deepEqual(forms(), ["frozen", "frozen", "rows", "rows"]);
    put(startMs + stepMs);
    assert.deepEqual(forms(), ["rows", "frozen", "rows", "rows"]);
    assert.equal(head.get(spanAt(startMs, blockMs))?.changes, 2);
  });
});
