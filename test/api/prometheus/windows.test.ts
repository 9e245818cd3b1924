import assert from "node:assert/strict";
import fc from "fast-check";
import { newestWriter, paneMs, windowWriter } from "../../../src/api/prometheus/windows.ts";

type Sample = readonly [timeMs: number, value: number];
const startMs = 1_700_000_000_000;

const samples = fc
  .uniqueArray(fc.tuple(fc.integer({ min: -900, max: 2_000 }), fc.integer({ min: -50, max: 50 })), {
    selector: ([second]) => second,
    maxLength: 80,
  })
  .map((list) =>
    list
      .toSorted(([a], [b]) => a - b)
      .map(([second, value]): Sample => [startMs + second * 1_000, value]),
  );
const steps = fc.record({
  startMs: fc.integer({ min: -3, max: 3 }).map((second) => startMs + second * 1_000),
  stepMs: fc.integer({ min: 1, max: 700 }).map((second) => second * 1_000),
  count: fc.integer({ min: 1, max: 40 }),
});
const timesOf = (at: { startMs: number; stepMs: number; count: number }): number[] =>
  Array.from({ length: at.count }, (_, step) => at.startMs + step * at.stepMs);

describe("values at times", () => {
  it("are the newest of the five minutes before, the beginning not included", () => {
    fc.assert(
      fc.property(samples, steps, (samples, at) => {
        const writer = newestWriter(at);
        for (const [timeMs, value] of samples) writer.add(timeMs, value, 1);
        const expected = timesOf(at).map((timeMs) => {
          const newest = samples.findLast(([sampleMs]) => sampleMs <= timeMs);
          return newest !== undefined && newest[0] > timeMs - 300_000 ? newest[1] : Number.NaN;
        });
        assert.deepEqual([...writer.finish()], expected);
      }),
    );
  });

  for (const overTime of ["avg", "max", "min"] as const)
    it(`are the ${overTime} of the samples in (t − range, t]`, () => {
      fc.assert(
        fc.property(samples, steps, fc.integer({ min: 1, max: 900 }), (samples, at, range) => {
          const rangeMs = range * 1_000;
          const writer = windowWriter(at, { overTime, rangeMs });
          for (const [timeMs, value] of samples) writer.add(timeMs, value, 1);
          const expected = timesOf(at).map((timeMs) => {
            const inside = samples
              .filter(([sampleMs]) => sampleMs > timeMs - rangeMs && sampleMs <= timeMs)
              .map(([, value]) => value);
            if (inside.length === 0) return Number.NaN;
            if (overTime === "max") return Math.max(...inside);
            if (overTime === "min") return Math.min(...inside);
            return inside.reduce((sum, value) => sum + value, 0) / inside.length;
          });
          assert.deepEqual([...writer.finish()], expected);
        }),
        { numRuns: 500 },
      );
    });

  it("keep no trace of a peak that has left the window", () => {
    const at = { startMs, stepMs: 10_000, count: 40 };
    const writer = windowWriter(at, { overTime: "avg", rangeMs: 60_000 });
    for (let step = 0; step < 40; step++)
      writer.add(startMs + step * 10_000, step === 3 ? 1e17 : 0.1, 1);
    const values = writer.finish();
    assert.ok(
      values.slice(10).every((value) => Math.abs(value - 0.1) < 1e-12),
      String(values),
    );
  });

  it("are made of panes that every window is a number of", () => {
    assert.equal(paneMs(300_000, 60_000), 60_000);
    assert.equal(paneMs(300_000, 420_000), 60_000);
    assert.equal(paneMs(300_000, 300_000), 300_000);
    assert.equal(paneMs(300_000, 17_000), 1_000);
  });
});
