import assert from "node:assert/strict";
import type { Meter } from "../../src/core/delivery.ts";
import { createFleetMeter } from "../../src/notify/meter.ts";
import { createMemoryMeter } from "../../src/store/memory/meter.ts";
import { ManualClock, settle } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

const limits = [{ count: 20, perMs: 60_000 }];

describe("the meter of the fleet", () => {
  let clock: ManualClock;
  let kept: ReturnType<typeof recordLog>;
  /** How the store answers. */
  let store: "there" | "away" | "silent";
  let meter: Meter;

  beforeEach(() => {
    clock = new ManualClock();
    kept = recordLog();
    store = "there";
    const memory = createMemoryMeter(clock);
    const through = async <T>(ask: () => Promise<T>): Promise<T> => {
      if (store === "away") throw new Error("not connected");
      return store === "silent" ? new Promise<never>(() => {}) : ask();
    };
    const shared: Meter = {
      take: (...given) => through(() => memory.take(...given)),
      hold: (...given) => through(() => memory.hold(...given)),
      budget: (...given) => through(() => memory.budget(...given)),
    };
    meter = createFleetMeter({ meter: shared, clock, log: kept.log });
  });

  /** How many messages of so many may leave now. */
  const leaves = async (tries: number): Promise<number> => {
    let sent = 0;
    for (let n = 0; n < tries; n++) {
      const leave = await meter.take("robot", limits);
      if ("waitMs" in leave) break;
      sent++;
      await leave.arrived();
    }
    return sent;
  };

  it("is the shared count while that can be asked", async () => {
    assert.equal(await leaves(30), 20);
    assert.deepEqual(await meter.budget("robot", limits), { left: 0, today: 20 });
    assert.deepEqual(kept.lines, []);
  });

  it("is a share of two a minute while nobody can be asked, said once each way", async () => {
    store = "away";
    assert.equal(await leaves(30), 2);
    assert.equal((await meter.budget("robot", limits)).left, 0);
    await clock.advance(60_000);
    assert.equal(await leaves(30), 2);
    store = "there";
    await clock.advance(60_000);
    assert.equal(await leaves(30), 20);
    assert.deepEqual(kept.of("warn"), ["robots metered by this agent alone"]);
    assert.deepEqual(kept.of("info"), ["robots metered by the fleet again"]);
  });

  it("waits a moment for a store that is silent, and no longer", async () => {
    store = "silent";
    const asked = meter.take("robot", limits);
    let answered = false;
    void asked.then(() => (answered = true));
    await clock.advance(299);
    await settle();
    assert.equal(answered, false);
    await clock.advance(1);
    assert.ok("arrived" in (await asked));
  });

  it("keeps the rest a robot asked for, though the store has gone since or was away", async () => {
    for (const before of ["there", "away"] as const) {
      store = before;
      await meter.hold(before, 600_000);
      for (const after of ["there", "away"] as const) {
        store = after;
        const leave = await meter.take(before, limits);
        assert.deepEqual(leave, { waitMs: 600_000 }, `${before}, then ${after}`);
        assert.equal((await meter.budget(before, limits)).left, 0);
      }
    }
  });

  it("asks nobody about what has no limits, unless it asked for a rest", async () => {
    store = "silent";
    assert.ok("arrived" in (await meter.take("mail", [])));
    store = "away";
    await meter.hold("mail", 5_000);
    assert.deepEqual(await meter.take("mail", []), { waitMs: 5_000 });
  });
});
