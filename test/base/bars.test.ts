import assert from "node:assert/strict";
import fc from "fast-check";
import { bars, scaleFor } from "../../src/base/bars.ts";
import { durationText, parseDurationMs } from "../../src/base/duration.ts";

describe("bars", () => {
  it("go from 0 to 100 for percents, from the least to the greatest for others, and mark gaps", () => {
    const values = [0, 10, null, 50];
    assert.equal(bars(values, scaleFor("%", values)), "▁▂·▅");
    assert.equal(bars(values, scaleFor("B/s", values)), "▁▂·█");
    assert.equal(bars([3, 3], scaleFor("", [3, 3])), "▁▁");
    assert.equal(bars([null], scaleFor("%", [null])), "·");
    assert.equal(bars([-5, 500], { low: 0, high: 100 }), "▁█");
  });
});

describe("a duration as text", () => {
  it("is read as the same duration", () => {
    for (const [ms, text] of [
      [90_000, "90s"],
      [3_600_000, "1h"],
      [604_800_000, "1w"],
      [1, "1ms"],
    ] as const)
      assert.equal(durationText(ms), text);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e12 }), (ms) =>
        assert.equal(parseDurationMs(durationText(ms)), ms),
      ),
    );
  });
});
