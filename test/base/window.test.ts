import assert from "node:assert/strict";
import fc from "fast-check";
import type { RateLimit } from "../../src/core/delivery.ts";
import { createSlidingWindow } from "../../src/base/window.ts";

describe("sliding window", () => {
  it("never lets more leave than allowed in any window, whatever the pace and the way", () => {
    const limit = fc.record({
      count: fc.integer({ min: 1, max: 8 }),
      perMs: fc.integer({ min: 1, max: 5_000 }),
    });
    const step = fc.record({
      idleMs: fc.nat(3_000),
      latencyMs: fc.nat(900),
      seenAt: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(
        fc.array(limit, { minLength: 1, maxLength: 3 }),
        fc.array(step, { maxLength: 80 }),
        (limits, steps) => {
          const window = createSlidingWindow();
          const seen: number[] = [];
          let nowMs = 0;
          for (const { idleMs, latencyMs, seenAt } of steps) {
            nowMs += idleMs;
            nowMs += window.waitMs(nowMs, limits);
            assert.equal(window.waitMs(nowMs, limits), 0);
            const departure = window.depart(nowMs);
            seen.push(nowMs + latencyMs * seenAt);
            nowMs += latencyMs;
            departure.arrived(nowMs);
          }
          for (const { count, perMs } of limits)
            for (const [i, first] of seen.entries()) {
              const after = seen[i + count];
              if (after !== undefined)
                assert.ok(
                  after - first >= perMs,
                  `${count + 1} in ${after - first} of ${perMs} ms`,
                );
            }
        },
      ),
    );
  });

  it("waits no longer than the limit asks for", () => {
    const window = createSlidingWindow();
    const limits = [{ count: 2, perMs: 1_000 }];
    window.depart(0).arrived(0);
    window.depart(400).arrived(400);
    assert.equal(window.waitMs(500, limits), 500);
    assert.equal(window.waitMs(999, limits), 1);
    assert.equal(window.waitMs(1_000, limits), 0);
  });

  it("tells how many may leave at once", () => {
    const limits: RateLimit[] = [{ count: 3, perMs: 1_000 }];
    const window = createSlidingWindow();
    assert.equal(window.left(0, limits), 3);
    window.depart(0);
    assert.equal(window.left(500, limits), 2);
    assert.equal(window.left(1_000, limits), 3);
    assert.equal(window.left(0, []), null);
    assert.equal(window.waitMs(0, []), 0);
  });

  it("judges the same messages by whatever limits are asked about", () => {
    const window = createSlidingWindow();
    for (let atMs = 0; atMs < 5; atMs++) window.depart(atMs).arrived(atMs);
    assert.equal(window.left(10, [{ count: 18, perMs: 60_000 }]), 13);
    assert.equal(window.waitMs(10, [{ count: 5, perMs: 1_000 }]), 990);
  });

  it("lets nothing leave while the service asked for a rest", () => {
    const window = createSlidingWindow();
    window.hold(100, 5_000);
    window.hold(200, 10);
    assert.equal(window.waitMs(200, []), 4_900);
    assert.equal(window.left(200, []), 0);
    assert.equal(window.waitMs(5_100, []), 0);
  });

  it("counts a message that was on its way longer than its window", () => {
    const limits = [{ count: 1, perMs: 1_000 }];
    const window = createSlidingWindow();
    const slow = window.depart(0);
    window.depart(1_500).arrived(1_500);
    slow.arrived(3_000);
    assert.equal(window.waitMs(3_000, limits), 1_000);
  });
});
