import assert from "node:assert/strict";
import fc from "fast-check";
import { parseSelector } from "../../src/core/series.ts";
import type { SeriesAsk } from "../../src/api/series/ask.ts";
import { bucketed } from "../../src/api/series/buckets.ts";
import type { AgentView, SeriesResult } from "../../src/api/ports.ts";
import { namedSeries, planRead, readPieces } from "../../src/api/series/read.ts";
import { sectionsOf, tieredBuckets } from "../../src/api/series/tiered.ts";
import type { BucketQuery, SeriesQuery } from "../../src/store/contract.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { ManualClock } from "../support/clock.ts";
import { anyDay, keepAll, starred, writeDay } from "../support/days.ts";
import { seriesStore } from "../support/store.ts";

const startMs = Date.UTC(2026, 0, 5);
const node = "prod/node-1";

async function all(results: AsyncIterable<SeriesResult>): Promise<unknown> {
  const timesMs: number[] = [];
  const columns: Record<string, (number | null)[]> = {};
  for await (const part of results) {
    timesMs.push(...part.timesMs);
    for (const [key, values] of part.columns) (columns[key] ??= []).push(...values);
  }
  return { timesMs, columns };
}

describe("buckets of aggregates", () => {
  it("are the same as those of the samples, whatever the span", async () => {
    const asks = fc.record({
      from: fc.nat(86_400_000),
      length: fc.integer({ min: 1, max: 90_000_000 }),
      stepMs: fc.constantFrom(300_000, 600_000, 3_600_000, 86_400_000),
      aggregate: fc.constantFrom("avg", "min", "max"),
    });
    await fc.assert(
      fc.asyncProperty(
        anyDay,
        fc.array(asks, { minLength: 1, maxLength: 8 }),
        async (day, list) => {
          const clock = new ManualClock(startMs);
          const backend = createMemoryBackend({ clock });
          const store = await writeDay(backend, clock, day);
          await keepAll(store, clock);
          const reader = seriesStore(backend, clock, { node: "prod/reader" });
          // proof: these two are all that the functions under test ask for
          const view = {
            readSeries: (query: SeriesQuery) => reader.read(query),
            readBuckets: (query: BucketQuery) => reader.readBuckets(query),
          } as unknown as AgentView;
          for (const { from, length, stepMs, aggregate } of list) {
            const ask: SeriesAsk = {
              startMs: startMs + from,
              endMs: startMs + from + length,
              selectors: starred,
              node: null,
              stepMs,
              aggregate,
            };
            const limits = { nowMs: clock.now(), keptDays: 7, tierDays: 30, intervalMs: 10_000 };
            const plan = planRead(ask, node, limits);
            const samples = { ...plan, tiered: false, intervalMs: 10_000 };
            const keys = await namedSeries(view, samples);
            assert.deepEqual(await namedSeries(view, plan), keys);
            assert.deepEqual(
              await all(tieredBuckets(view, { ...plan, stepMs }, keys, aggregate)),
              await all(bucketed(readPieces(view, samples, keys), keys, stepMs, aggregate)),
            );
          }
        },
      ),
      { numRuns: 40 },
    );
  }).timeout(120_000);

  it("are asked for in sections without a gap, of which only the outermost need samples", () => {
    fc.assert(
      fc.property(
        fc.nat(10_000_000),
        fc.nat(10_000_000),
        fc.constantFrom(300_000, 900_000, 3_600_000),
        fc.nat(20_000_000),
        (fromMs, length, stepMs, nowMs) => {
          const toMs = fromMs + length;
          const sections = sectionsOf({ fromMs, toMs }, stepMs, nowMs);
          let nextMs = fromMs;
          for (const [index, section] of sections.entries()) {
            assert.equal(section.fromMs, nextMs);
            assert.ok(section.toMs >= section.fromMs);
            nextMs = section.toMs + 1;
            if (section.stepMs === null) {
              assert.ok(index === 0 || index === sections.length - 1);
              // Two parts of five minutes, when there is no whole one between them.
              assert.ok(section.toMs - section.fromMs < 600_000);
            } else {
              assert.equal(section.fromMs % section.stepMs, 0);
              assert.equal(nextMs % section.stepMs, 0);
            }
          }
          if (toMs < nowMs) assert.equal(nextMs, toMs + 1);
          else assert.equal(nextMs, Math.ceil((toMs + 1) / stepMs) * stepMs);
        },
      ),
    );
  });

  it("reach back for as long as aggregates are kept", () => {
    const ask: SeriesAsk = {
      startMs: 0,
      endMs: startMs,
      selectors: [parseSelector("cpu")],
      node: null,
      stepMs: 3_600_000,
      aggregate: "avg",
    };
    const limits = { nowMs: startMs, keptDays: 7, tierDays: 30, intervalMs: 10_000 };
    const days = (changes: Partial<SeriesAsk>): number =>
      (startMs - planRead({ ...ask, ...changes }, node, limits).fromMs) / 86_400_000;
    assert.equal(days({}), 31);
    for (const changes of [{ stepMs: null }, { stepMs: 60_000 }, { aggregate: "last" }] as const)
      assert.equal(days(changes), 8);
  });
});
