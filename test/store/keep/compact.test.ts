import assert from "node:assert/strict";
import fc from "fast-check";
import type { Backend, SeriesData, SeriesStore } from "../../../src/store/contract.ts";
import { createMemoryBackend } from "../../../src/store/memory/index.ts";
import { dayOf } from "../../../src/store/slots.ts";
import { ManualClock } from "../../support/clock.ts";
import {
  anyDay,
  dayKeys,
  everything,
  exactBuckets,
  keepAll,
  starred,
  writeDay,
} from "../../support/days.ts";
import { row, seriesStore } from "../../support/store.ts";

const node = "prod/node-1";
const startMs = Date.UTC(2026, 0, 5);
const endMs = startMs + 86_400_000;
const day = dayOf(startMs);

/** Another process that has nothing in memory. */
function reader(backend: Backend, clock: ManualClock): SeriesStore {
  return seriesStore(backend, clock, { node: "prod/reader" });
}

/** The series in one order, as reads by different ways list them in their own. */
function sorted(data: SeriesData): unknown {
  return { ...data, columns: [...data.columns].sort(([a], [b]) => (a < b ? -1 : 1)) };
}

async function readAll(store: SeriesStore, fromMs = startMs, toMs = endMs): Promise<unknown> {
  return sorted(await store.read({ node, selectors: everything, fromMs, toMs }));
}

describe("closed days", () => {
  it("read the same before and after they are compacted, whole and in parts", async () => {
    await fc.assert(
      fc.asyncProperty(anyDay, fc.nat(86_400), fc.nat(86_400), async (stretches, a, b) => {
        const clock = new ManualClock(startMs);
        const backend = createMemoryBackend({ clock });
        const store = await writeDay(backend, clock, stretches);
        const [from, to] = [startMs + Math.min(a, b) * 1_000, startMs + Math.max(a, b) * 1_000];
        const read = async () => [
          await readAll(reader(backend, clock)),
          await readAll(reader(backend, clock), from, to),
          await readAll(store),
        ];
        const before = await read();
        await keepAll(store, clock);
        assert.deepEqual(await backend.names(node, day, "blocks"), []);
        assert.deepEqual(await read(), before);
        const query = { node, selectors: starred, fromMs: startMs, toMs: endMs };
        assert.deepEqual(sorted(await reader(backend, clock).read(query)), before[0]);
      }),
      { numRuns: 60 },
    );
  }).timeout(120_000);

  it("take late rows in blocks, which the next compaction merges", async () => {
    const late = fc.array(
      fc.record({
        second: fc.nat(86_399),
        values: fc.dictionary(fc.constantFrom(...dayKeys), fc.integer({ min: 0, max: 99 })),
      }),
      { minLength: 1, maxLength: 20 },
    );
    await fc.assert(
      fc.asyncProperty(anyDay, late, async (stretches, rows) => {
        const clock = new ManualClock(startMs);
        const backend = createMemoryBackend({ clock });
        const store = await writeDay(backend, clock, stretches);
        const untouched = createMemoryBackend({ clock: new ManualClock(startMs) });
        const twinClock = new ManualClock(startMs);
        const twin = await writeDay(untouched, twinClock, stretches);
        await keepAll(store, clock);
        // Which of two rows of one slot counts is not said when they are kept in blocks of two lengths.
        const query = { node, selectors: starred, fromMs: startMs, toMs: endMs };
        const taken = new Set((await reader(untouched, twinClock).read(query)).timesMs);
        const fresh = rows.filter(({ second }) => !taken.has(startMs + second * 1_000));
        for (const [to, at] of [
          [seriesStore(backend, clock), clock],
          [twin, twinClock],
        ] as const) {
          for (const { second, values } of fresh) to.append(row(startMs + second * 1_000, values));
          await to.flush();
          assert.ok(at.now() > endMs);
        }
        const expected = await readAll(reader(untouched, twinClock));
        assert.deepEqual(await readAll(reader(backend, clock)), expected);
        // It was well already, so the store of another process looks again within a day.
        await keepAll(store, clock, 34 * 4);
        assert.deepEqual(await backend.names(node, day, "blocks"), []);
        assert.deepEqual(await readAll(reader(backend, clock)), expected);
      }),
      { numRuns: 40 },
    );
  }).timeout(120_000);

  it("have their empty rows in the tier too", async () => {
    const clock = new ManualClock(startMs);
    const backend = createMemoryBackend({ clock });
    const stretch = { stepMs: 10_000, gap: 3, rows: [{}], restart: false };
    const store = await writeDay(backend, clock, [stretch]);
    const query = { node, selectors: everything, fromMs: startMs, toMs: endMs, stepMs: 300_000 };
    const expected = { timesMs: [startMs], columns: new Map() };
    assert.deepEqual(await reader(backend, clock).readBuckets(query), expected);
    await keepAll(store, clock);
    assert.deepEqual(await reader(backend, clock).readBuckets(query), expected);
  });

  it("give the same buckets from their samples and from the tier, exactly", async () => {
    const steps = fc.constantFrom(300_000, 900_000, 3_600_000, 86_400_000, 7 * 86_400_000);
    await fc.assert(
      fc.asyncProperty(anyDay, steps, fc.boolean(), async (stretches, stepMs, star) => {
        const clock = new ManualClock(startMs);
        const backend = createMemoryBackend({ clock });
        const store = await writeDay(backend, clock, stretches);
        const query = { node, selectors: everything, fromMs: startMs, toMs: endMs - 1, stepMs };
        const raw = exactBuckets(await reader(backend, clock).read(query), stepMs);
        const buckets = async (from: SeriesStore): Promise<unknown> => {
          const selectors = star ? starred : everything;
          const { timesMs, columns } = await from.readBuckets({ ...query, selectors });
          return { timesMs, columns: [...columns].sort(([a], [b]) => (a < b ? -1 : 1)) };
        };
        const expected = {
          timesMs: raw.timesMs,
          columns: [...raw.columns].sort(([a], [b]) => (a < b ? -1 : 1)),
        };
        assert.deepEqual(await buckets(reader(backend, clock)), expected, "from blocks");
        await store.keep();
        assert.deepEqual(await buckets(reader(backend, clock)), expected, "from the open tier");
        await keepAll(store, clock);
        assert.deepEqual(await buckets(reader(backend, clock)), expected, "from the closed tier");
        assert.deepEqual(await buckets(store), expected, "of the own node");
      }),
      { numRuns: 60 },
    );
  }).timeout(120_000);

  it("are not looked at again for a day when they were as they should be, unless something came late", async () => {
    const clock = new ManualClock(startMs);
    const backend = createMemoryBackend({ clock });
    const asked: number[] = [];
    const listening: Backend = {
      ...backend,
      names: (of, at, part) => {
        if (part === "blocks") asked.push(at);
        return backend.names(of, at, part);
      },
    };
    const stretch = { stepMs: 10_000, gap: 0, rows: [{ cpu: 1 }], restart: false };
    const store = await writeDay(listening, clock, [stretch]);
    const hours = (count: number): Promise<void> => keepAll(store, clock, count * 4);
    // A look soon after the start compacts the day, the next one finds it well.
    await hours(10);
    assert.ok(asked.includes(day) && asked.includes(day - 6));
    asked.length = 0;
    await hours(8);
    assert.ok(!asked.includes(day));
    store.append(row(startMs + 3_600_000, { cpu: 2 }));
    await store.flush();
    await hours(8);
    assert.ok(asked.includes(day));
    assert.deepEqual(await backend.names(node, day, "blocks"), []);
    asked.length = 0;
    await hours(34);
    assert.ok(asked.includes(day - 3), "everything again after a day");
  });
});
