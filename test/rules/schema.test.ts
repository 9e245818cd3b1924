import assert from "node:assert/strict";
import { showRule } from "../../src/core/rule.ts";
import { parseRule, parseRules } from "../../src/rules/schema.ts";
import { builtinRules } from "../../src/rules/builtin.ts";

function faults(input: unknown): string[] {
  const parsed = parseRule(input, "rules[0]");
  assert.ok(!parsed.ok, "expected faults");
  return parsed.faults.map(({ path, message }) => `${path}: ${message}`);
}

describe("rule schema", () => {
  it("takes the shortest rule and fills in the rest", () => {
    const parsed = parseRule({ index: "cpu", operator: ">", threshold: 80 }, "rules[0]");
    assert.ok(parsed.ok);
    assert.equal(parsed.value.name, "cpu>warning");
    assert.deepEqual(parsed.value.thresholds, { warning: 80 });
    assert.equal(parsed.value.forMs, 0);
    assert.equal(parsed.value.enabled, true);
  });

  it("reads operators as words and durations as people write them", () => {
    const parsed = parseRule(
      {
        name: "x",
        index: "memory",
        operator: "lte",
        threshold: 5,
        for: "1m30s",
        keep_firing_for: 45,
        cooldown_minutes: 2,
      },
      "",
    );
    assert.ok(parsed.ok);
    assert.equal(parsed.value.operator, "<=");
    assert.equal(parsed.value.forMs, 90_000);
    assert.equal(parsed.value.keepFiringForMs, 45_000);
    assert.equal(parsed.value.cooldownMs, 120_000);
  });

  for (const [input, expected] of [
    [{}, ["rules[0].index: is required"]],
    [{ index: "cpu" }, ["rules[0].threshold: is required (or levels)"]],
    [{ index: "cpu", threshold: "80" }, ["rules[0].threshold: expected a number, got a string"]],
    [{ index: "cpu", treshold: 80 }, ['rules[0].treshold: unknown key; did you mean "threshold"?']],
    [
      { index: "cpu", threshold: 80, operator: "=>" },
      ['rules[0].operator: expected one of >, >=, <, <=, got "=>"'],
    ],
    [
      { index: "cpu", threshold: 80, for: "5 minutes" },
      ['rules[0].for: expected seconds or a duration such as "30s" or "5m"'],
    ],
    [{ index: "cpu", threshold: 80, clear: 90 }, ["rules[0].clear: must not itself breach > 80"]],
    [
      { index: "cpu", threshold: 80, levels: { warning: 70 } },
      ["rules[0].threshold: stands beside levels; keep one of them"],
    ],
    [
      { index: "cpu", levels: { warning: 95, critical: 80 } },
      ["rules[0].levels.critical: must be above warning (95)"],
    ],
    [
      { index: "cpu", operator: "<", levels: { warning: 5, critical: 10 } },
      ["rules[0].levels.critical: must be below warning (5)"],
    ],
    [{ index: "cpu", levels: {} }, ["rules[0].levels: names no level"]],
    [
      { index: "cpu", levels: { fatal: 1 } },
      ["rules[0].levels.fatal: unknown key; known here: info, warning, critical"],
    ],
    [
      { index: 'disk{mount="/"}', threshold: 1 },
      [
        "rules[0].index: expected the name of an index such as cpu; a series' labels go into labels",
      ],
    ],
    [
      { index: "cpu", threshold: 80, runbook_url: "javascript:alert(1)" },
      ["rules[0].runbook_url: expected a http or https URL"],
    ],
    ["cpu > 80", ["rules[0]: expected an object, got a string"]],
    [null, ["rules[0]: expected an object, got null"]],
  ] as const)
    it(`refuses ${JSON.stringify(input)}`, () => {
      assert.deepEqual(faults(input), expected);
    });

  it("reports every fault at once", () => {
    assert.equal(
      faults({ index: "", threshold: "x", for: -1, nodes: "a", level: "red" }).length,
      5,
    );
  });

  it("refuses two rules of one name in one source", () => {
    const parsed = parseRules(
      [
        { index: "cpu", threshold: 1 },
        { index: "cpu", threshold: 2 },
      ],
      "alerts.rules",
    );
    assert.ok(!parsed.ok);
    assert.deepEqual(parsed.faults, [
      { path: "alerts.rules[1].name", message: '"cpu>warning" is the name of another rule here' },
    ]);
  });

  it("shows a rule in words that it reads again as the same rule", () => {
    for (const rule of builtinRules) {
      const again = parseRule(showRule(rule), "");
      assert.ok(again.ok, JSON.stringify(again));
      assert.deepEqual(again.value, rule);
    }
  });
});
