import assert from "node:assert/strict";
import fc from "fast-check";
import { rank, type Level, type Rule } from "../../src/core/rule.ts";
import { parseRule } from "../../src/rules/schema.ts";
import {
  okState,
  parseState,
  step,
  type StepState,
  type StepTransition,
} from "../../src/rules/step.ts";

const tickMs = 10_000;

function rule(input: Record<string, unknown>): Rule {
  const parsed = parseRule({ index: "cpu", ...input }, "rule");
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

/** Runs values ten seconds apart; what happened, as "time:kind:level". */
function run(
  subject: Rule,
  values: readonly (number | null)[],
  from: StepState = okState,
): { events: string[]; state: StepState } {
  let state = from;
  const events: string[] = [];
  values.forEach((value, at) => {
    const stepped = step(state, subject, { value, nowMs: at * tickMs, maxGapMs: 2 * tickMs });
    state = stepped.state;
    if (stepped.transition !== null && stepped.transition.kind !== "still")
      events.push(`${at * 10}s:${stepped.transition.kind}:${stepped.transition.level}`);
  });
  return { events, state };
}

describe("step", () => {
  it("fires at the first breach when there is no `for`", () => {
    assert.deepEqual(run(rule({ threshold: 80 }), [10, 81, 82, 10]).events, [
      "10s:fired:warning",
      "30s:resolved:warning",
    ]);
  });

  it("fires only when every sample of `for` breaches", () => {
    const subject = rule({ threshold: 80, for: "30s" });
    assert.deepEqual(run(subject, [81, 81, 81]).events, []);
    assert.deepEqual(run(subject, [81, 81, 81, 81]).events, ["30s:fired:warning"]);
    assert.deepEqual(run(subject, [81, 81, 79, 81, 81, 81]).events, []);
  });

  it("neither advances nor resets while samples are missing", () => {
    const subject = rule({ threshold: 80, for: 30 });
    assert.deepEqual(run(subject, [81, 81, null, null, null, null, 81]).events, []);
    assert.deepEqual(run(subject, [81, 81, null, null, null, null, 81, 81]).events, [
      "70s:fired:warning",
    ]);
  });

  it("does not count the time in which nothing was observed", () => {
    const subject = rule({ threshold: 80, for: 300 });
    const { state } = run(subject, [81, 81]);
    const later = step(state, subject, { value: 81, nowMs: 3_600_000, maxGapMs: 2 * tickMs });
    assert.equal(later.transition, null);
    assert.equal(later.state.heldMs.warning, 30_000);
  });

  it("goes on firing while samples are missing, and says since when", () => {
    const { events, state } = run(rule({ threshold: 80 }), [81, null, null, null]);
    assert.deepEqual(events, ["0s:fired:warning"]);
    assert.equal(state.phase, "firing");
    assert.equal(state.noDataSinceMs, tickMs);
  });

  it("recovers at `clear`, not at the threshold", () => {
    assert.deepEqual(
      run(rule({ threshold: 90, operator: ">=", clear: 85 }), [90, 89, 86, 85, 84.9]).events,
      ["0s:fired:warning", "40s:resolved:warning"],
    );
  });

  it("stays firing through keep_firing_for and starts it again after a relapse", () => {
    const subject = rule({ threshold: 80, keep_firing_for: "20s" });
    assert.deepEqual(run(subject, [81, 79, 79, 81, 79, 79, 79]).events, [
      "0s:fired:warning",
      "60s:resolved:warning",
    ]);
  });

  it("escalates and comes back down within one alert", () => {
    const subject = rule({ levels: { warning: 80, critical: 95 } });
    assert.deepEqual(run(subject, [81, 96, 81, 79]).events, [
      "0s:fired:warning",
      "10s:escalated:critical",
      "20s:deescalated:warning",
      "30s:resolved:warning",
    ]);
  });

  it("gives a higher level the hysteresis of the lowest", () => {
    const subject = rule({ levels: { warning: 80, critical: 95 }, clear: 75 });
    assert.deepEqual(run(subject, [96, 92, 90.1, 90, 76, 75]).events, [
      "0s:fired:critical",
      "30s:deescalated:warning",
      "50s:resolved:warning",
    ]);
  });

  it("judges falling values the other way round and keeps the lowest as peak", () => {
    const subject = rule({ operator: "<", levels: { warning: 20, critical: 5 }, clear: 25 });
    const { events, state } = run(subject, [50, 19, 4, 3, 9]);
    assert.deepEqual(events, ["10s:fired:warning", "20s:escalated:critical"]);
    assert.equal(state.peak, 3);
  });

  it("counts `for` for each level by itself", () => {
    const subject = rule({ levels: { warning: 80, critical: 95 }, for: 20 });
    assert.deepEqual(run(subject, [81, 81, 96, 96, 96]).events, [
      "20s:fired:warning",
      "40s:escalated:critical",
    ]);
  });

  it("goes on from a saved state as if nothing had happened", () => {
    const subject = rule({ threshold: 80, for: 30 });
    const before = run(subject, [81, 81]).state;
    assert.deepEqual(parseState(JSON.stringify(before)), before);
  });

  it("refuses a saved state that is none", () => {
    for (const saved of ["", "{}", "null", '{"phase":"on fire"}', '{"phase":"ok","level":"red"}'])
      assert.throws(() => parseState(saved), saved);
  });
});

/** A rule and samples around its thresholds. */
const anyRule = fc
  .record({
    rising: fc.boolean(),
    levels: fc.subarray(["info", "warning", "critical"] as const, { minLength: 1 }),
    for: fc.constantFrom(0, 10, 35),
    keep: fc.constantFrom(0, 20),
    clear: fc.constantFrom(null, 0, 5),
  })
  .map(({ rising, levels, for: hold, keep, clear }) => {
    const order: readonly Level[] = ["info", "warning", "critical"];
    const at = (level: Level): number =>
      rising ? 60 + 10 * order.indexOf(level) : 40 - 10 * order.indexOf(level);
    const lowest = at(levels[0]!);
    return rule({
      operator: rising ? ">=" : "<=",
      levels: Object.fromEntries(levels.map((level) => [level, at(level)])),
      for: hold,
      keep_firing_for: keep,
      clear: clear === null ? null : lowest + (rising ? -clear : clear),
    });
  });
const anyValues = fc.array(fc.option(fc.integer({ min: 0, max: 100 }), { freq: 5 }), {
  maxLength: 200,
});

function transitions(
  subject: Rule,
  values: readonly (number | null)[],
): { at: number; value: number | null; event: StepTransition | null; state: StepState }[] {
  let state = okState;
  return values.map((value, at) => {
    const stepped = step(state, subject, { value, nowMs: at * tickMs, maxGapMs: 2 * tickMs });
    state = stepped.state;
    return { at, value, event: stepped.transition, state };
  });
}

describe("step, whatever the rule and the samples", () => {
  it("never changes anything on a missing sample", () => {
    fc.assert(
      fc.property(anyRule, anyValues, (subject, values) => {
        let before = okState;
        for (const { value, event, state } of transitions(subject, values)) {
          if (value === null) {
            assert.equal(event, null);
            assert.equal(state.phase, before.phase);
            assert.equal(state.level, before.level);
            assert.deepEqual(state.heldMs, before.heldMs);
          }
          before = state;
        }
      }),
    );
  });

  it("alternates between firing and recovery, and moves one alert up and down in between", () => {
    fc.assert(
      fc.property(anyRule, anyValues, (subject, values) => {
        let level: Level | null = null;
        for (const { event } of transitions(subject, values)) {
          if (event === null || event.kind === "still") continue;
          if (event.kind === "fired") assert.equal(level, null);
          if (event.kind === "escalated")
            assert.ok(rank(event.level) > rank(level) && level !== null);
          if (event.kind === "deescalated") assert.ok(rank(event.level) < rank(level));
          if (event.kind === "resolved") assert.equal(event.level, level);
          level = event.kind === "resolved" ? null : event.level;
        }
      }),
    );
  });

  it("fires exactly when a naive count of the samples says so", () => {
    fc.assert(
      fc.property(fc.constantFrom(0, 10, 35, 60), anyValues, (hold, values) => {
        const subject = rule({ threshold: 60, operator: ">=", for: hold });
        const needed = Math.ceil(hold / 10) + 1;
        let run = 0;
        let firing = false;
        for (const { value, event } of transitions(subject, values)) {
          if (value !== null) run = value >= 60 ? run + 1 : 0;
          if (value !== null && !firing && run >= needed) {
            assert.equal(event?.kind, "fired");
            firing = true;
          } else assert.notEqual(event?.kind, "fired");
          if (event?.kind === "resolved") firing = false;
        }
      }),
    );
  });
});
