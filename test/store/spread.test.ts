import assert from "node:assert/strict";
import { placeInFleet, writeDelayMs } from "../../src/store/spread.ts";

describe("places in a fleet", () => {
  const fleet = Array.from({ length: 1_000 }, (_, n) => `prod/gpu-pool-${n}`);

  it("spread nodes evenly, also those whose names differ in a digit at their end", () => {
    const tenths = Map.groupBy(fleet, (node) => Math.floor(placeInFleet(node) * 10));
    assert.equal(tenths.size, 10);
    for (const [tenth, nodes] of tenths)
      assert.ok(nodes.length > 50 && nodes.length < 150, `${tenth}: ${nodes.length}`);
  });

  it("delay writes by half an interval at most, and by five seconds, always the same", () => {
    for (const [intervalMs, longestMs] of [
      [1_000, 500],
      [10_000, 5_000],
      [300_000, 5_000],
    ] as const) {
      const delays = fleet.map((node) => writeDelayMs(node, intervalMs));
      assert.ok(Math.max(...delays) < longestMs && Math.min(...delays) >= 0);
      assert.ok(Math.max(...delays) > longestMs * 0.9);
      assert.deepEqual(
        fleet.map((node) => writeDelayMs(node, intervalMs)),
        delays,
      );
    }
  });
});
