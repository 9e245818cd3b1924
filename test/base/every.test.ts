import assert from "node:assert/strict";
import { everySlot, loop } from "../../src/base/every.ts";
import { ManualClock } from "../support/clock.ts";

describe("slots", () => {
  it("are not sampled again when the interval grows, and follow a clock that was set back", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 5, 12, 3, 20));
    const seen: string[] = [];
    let stepMs = 10_000;
    const running = everySlot(
      clock,
      () => stepMs,
      async (slotMs) => void seen.push(new Date(slotMs).toISOString().slice(11, 19)),
      (cause) => assert.fail(String(cause)),
    );
    await clock.advance(10_000);
    stepMs = 300_000;
    await clock.advance(100_000);
    clock.jump(-3_600_000);
    stepMs = 10_000;
    await clock.advance(300_000);
    await running.stop();
    assert.deepEqual(seen.slice(0, 3), ["12:03:20", "12:03:30", "12:05:00"]);
    assert.ok(
      seen.some((time) => time.startsWith("11:")),
      seen.join(),
    );
  });

  it("follow an interval that becomes shorter within a second", async () => {
    const clock = new ManualClock(Date.UTC(2026, 0, 5, 12, 0, 0));
    let slots = 0;
    let stepMs = 300_000;
    const running = everySlot(
      clock,
      () => stepMs,
      async () => void (slots += 1),
      (cause) => assert.fail(String(cause)),
    );
    await clock.advance(100_000);
    assert.equal(slots, 1);
    stepMs = 1_000;
    await clock.advance(2_000);
    assert.equal(slots, 3);
    await running.stop();
  });
});

describe("a loop", () => {
  it("takes nothing for a failure that its own stop broke off", async () => {
    const clock = new ManualClock();
    const failures: unknown[] = [];
    const running = loop(
      clock,
      async (signal) => {
        await clock.sleep(1_000, signal);
        throw new Error("broken off");
      },
      (cause) => {
        failures.push(cause);
        return 1_000;
      },
    );
    await clock.advance(1_000);
    assert.equal(failures.length, 1);
    await clock.advance(1_000);
    await running.stop();
    assert.equal(failures.length, 1);
  });
});
