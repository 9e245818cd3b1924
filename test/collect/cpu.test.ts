import assert from "node:assert/strict";
import fc from "fast-check";
import { cpu, cpuShares } from "../../src/collect/cpu.ts";
import { parseStat } from "../../src/collect/proc/stat.ts";

/** user nice system idle iowait irq softirq steal guest guestNice */
function look(...columns: number[]): unknown {
  return parseStat(`cpu ${columns.join(" ")}\n`);
}

function values(now: unknown, before: unknown): Record<string, number | null> {
  const readings = cpu.readings(now, { raw: before, elapsedSeconds: 10 });
  return Object.fromEntries(readings.map(({ index, value }) => [index, value]));
}

describe("cpu", () => {
  it("has no readings at the first look", () => {
    assert.deepEqual(cpu.readings(look(1, 2, 3, 4), undefined), []);
  });

  it("is the share of time neither idle nor waiting, between two looks", () => {
    const before = look(1_000, 100, 500, 8_000, 50, 5, 5, 40, 30, 0);
    const now = look(1_030, 105, 520, 8_830, 150, 7, 8, 50, 60, 0);
    // 30+5+20+2+3+10 = 70 busy of 1000; guest (30) is inside user and must not count twice.
    assert.deepEqual(values(now, before), { cpu: 7, cpu_iowait: 10, cpu_steal: 1 });
  });

  it("takes iowait that goes back as none, which is known to happen", () => {
    const value = values(look(50, 0, 0, 150, 90), look(0, 0, 0, 100, 100));
    assert.deepEqual(value, { cpu: 50, cpu_iowait: 0, cpu_steal: 0 });
  });

  it("is null, not a spike, when any other counter goes back", () => {
    const before = [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 1_000];
    before.forEach((_, mode) => {
      if (mode === 4) return;
      const now = before.map((value, i) => (i === mode ? value - 1 : value + 100));
      assert.deepEqual(values(look(...now), look(...before)), {
        cpu: null,
        cpu_iowait: null,
        cpu_steal: null,
      });
    });
  });

  it("is null when no time has passed", () => {
    assert.equal(values(look(1, 2, 3, 4), look(1, 2, 3, 4))["cpu"], null);
  });

  it("is right again at the look after a reset", () => {
    const reset = look(10, 0, 0, 90);
    assert.equal(values(reset, look(5_000, 0, 0, 5_000))["cpu"], null);
    assert.equal(values(look(35, 0, 0, 165), reset)["cpu"], 25);
  });

  it("is between 0 and 100 or null for any two looks", () => {
    const ticks = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), {
      minLength: 4,
      maxLength: 10,
    });
    const near = fc
      .tuple(ticks, fc.array(fc.nat({ max: 1_000 }), { minLength: 10, maxLength: 10 }))
      .map(([before, more]) => [before.map((value, i) => value + (more[i] ?? 0)), before] as const);
    fc.assert(
      fc.property(fc.oneof(fc.tuple(ticks, ticks), near), ([now, before]) => {
        const safe = (columns: readonly number[]): number[] =>
          columns.map((value) => Math.min(value, Number.MAX_SAFE_INTEGER));
        for (const value of Object.values(values(look(...safe(now)), look(...safe(before)))))
          assert.ok(value === null || (value >= 0 && value <= 100), String(value));
      }),
      { numRuns: 500 },
    );
  });

  it("adds up: busy, waiting and idle are all the time there is", () => {
    const { total: before } = parseStat("cpu 0 0 0 0 0\n");
    const { total: now } = parseStat("cpu 30 0 20 40 10\n");
    assert.deepEqual(cpuShares(now, before), { busy: 50, iowait: 10, steal: 0 });
  });

  it("gives seconds of each CPU and mode, guest time apart", () => {
    const families = cpu.families(
      parseStat("cpu 1 1 1 1\ncpu3 250 1 2 3 4 5 6 7 80 9\nctxt 5\nbtime 1700000000\n"),
    );
    const byName = new Map(families.map((family) => [family.name, family]));
    assert.deepEqual(byName.get("node_cpu_seconds_total")?.samples[0], {
      labels: { cpu: "3", mode: "user" },
      value: 2.5,
    });
    assert.deepEqual(byName.get("node_cpu_guest_seconds_total")?.samples, [
      { labels: { cpu: "3", mode: "user" }, value: 0.8 },
      { labels: { cpu: "3", mode: "nice" }, value: 0.09 },
    ]);
    assert.equal(byName.get("node_boot_time_seconds")?.type, "gauge");
    assert.equal(byName.get("node_context_switches_total")?.samples[0]?.value, 5);
    assert.equal(byName.has("node_forks_total"), false, "the kernel did not say");
  });
});
