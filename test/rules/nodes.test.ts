import assert from "node:assert/strict";
import fc from "fast-check";
import { labelOperators, needsFacts, taintEffects } from "../../src/core/node-match.ts";
import type { NodeFacts } from "../../src/core/node.ts";
import { showRule, type Rule } from "../../src/core/rule.ts";
import { matchesNode } from "../../src/rules/match.ts";
import { parseRule } from "../../src/rules/schema.ts";

const node = { cluster: "prod", name: "gpu-1", ip: "10.0.0.1" };
const facts: NodeFacts = {
  labels: { pool: "gpu-a100", zone: "a", "node-role.kubernetes.io/worker": "" },
  taints: [
    { key: "dedicated", value: "gpu", effect: "NoSchedule" },
    { key: "node.kubernetes.io/unschedulable", value: "", effect: "NoSchedule" },
  ],
};

function ruleFor(nodes: unknown): Rule {
  const parsed = parseRule({ index: "cpu", threshold: 80, nodes }, "rule");
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

function faults(nodes: unknown): string[] {
  const parsed = parseRule({ index: "cpu", threshold: 80, nodes }, "rule");
  assert.ok(!parsed.ok, "expected faults");
  return parsed.faults.map(({ path, message }) => `${path}: ${message}`);
}

function verdict(nodes: unknown, known: NodeFacts | null = facts): string {
  return matchesNode(ruleFor(nodes).nodes, node, known);
}

describe("nodes of a rule", () => {
  for (const [nodes, expected] of [
    [null, "yes"],
    [{}, "yes"],
    [["gpu-*"], "yes"],
    [["web-*"], "no"],
    [[], "no"],
    [{ names: ["prod/gpu-*"] }, "yes"],
    [{ matchLabels: { pool: "gpu-*", zone: "a" } }, "yes"],
    [{ matchLabels: { pool: "gpu" } }, "no"],
    [{ matchLabels: { "node-role.kubernetes.io/worker": "" } }, "yes"],
    [{ matchLabels: { absent: "*" } }, "no"],
    [{ matchLabels: { toString: "*" } }, "no"],
    [{ names: ["web-*"], matchLabels: { zone: "a" } }, "no"],
    [{ matchExpressions: [{ key: "zone", operator: "In", values: ["a", "b"] }] }, "yes"],
    [{ matchExpressions: [{ key: "zone", operator: "In", values: ["*"] }] }, "no"],
    [{ matchExpressions: [{ key: "absent", operator: "In", values: ["a"] }] }, "no"],
    [{ matchExpressions: [{ key: "zone", operator: "NotIn", values: ["a"] }] }, "no"],
    [{ matchExpressions: [{ key: "absent", operator: "NotIn", values: ["a"] }] }, "yes"],
    [{ matchExpressions: [{ key: "zone", operator: "Exists" }] }, "yes"],
    [{ matchExpressions: [{ key: "zone", operator: "DoesNotExist", values: [] }] }, "no"],
    [{ matchTaints: [{ key: "dedicated" }] }, "yes"],
    [{ matchTaints: [{ key: "dedicated", value: "gpu", effect: "NoSchedule" }] }, "yes"],
    [{ matchTaints: [{ key: "dedicated", effect: "NoExecute" }] }, "no"],
    [{ matchTaints: [{ key: "dedicated" }, { key: "absent" }] }, "no"],
    [{ excludeTaints: [{ key: "node.kubernetes.io/unschedulable" }] }, "no"],
    [{ excludeTaints: [{ key: "dedicated", value: "db" }, { key: "absent" }] }, "yes"],
  ] as const)
    it(`${JSON.stringify(nodes)} says ${expected}`, () => assert.equal(verdict(nodes), expected));

  it("cannot be decided before the facts are known, unless the name alone decides", () => {
    assert.equal(verdict({ names: ["gpu-*"], matchLabels: { pool: "*" } }, null), "unknown");
    assert.equal(verdict({ excludeTaints: [{ key: "x" }] }, null), "unknown");
    assert.equal(verdict({ names: ["web-*"], matchLabels: { pool: "*" } }, null), "no");
    assert.equal(verdict(["gpu-*"], null), "yes");
  });

  for (const [nodes, expected] of [
    ["gpu-*", ["rule.nodes: expected a list of names or an object, got a string"]],
    [[1], ["rule.nodes[0]: expected a text, got a number"]],
    [{ matchLabel: {} }, ['rule.nodes.matchLabel: unknown key; did you mean "matchLabels"?']],
    [
      { matchLabels: { gpu: true } },
      ["rule.nodes.matchLabels.gpu: expected a text, got a boolean"],
    ],
    [
      { matchLabels: ["pool=gpu"] },
      ['rule.nodes.matchLabels: expected an object such as {"pool": "gpu"}, got a list'],
    ],
    [
      { matchLabels: "pool=gpu" },
      ['rule.nodes.matchLabels: expected an object such as {"pool": "gpu"}, got a string'],
    ],
    [
      {
        matchExpressions: [
          { key: "zone", operator: "in", values: ["a"] },
          { key: "zone", operator: "In" },
          { key: "", operator: "NotIn", values: [] },
          { key: "zone", operator: "Exists", values: ["a"], value: "a" },
          { operator: "In", values: "a" },
          "zone",
        ],
      },
      [
        'rule.nodes.matchExpressions[0].operator: expected one of In, NotIn, Exists, DoesNotExist, got "in"',
        "rule.nodes.matchExpressions[1].values: needs at least one value with In and NotIn",
        "rule.nodes.matchExpressions[2].key: must not be empty",
        "rule.nodes.matchExpressions[2].values: needs at least one value with In and NotIn",
        "rule.nodes.matchExpressions[3].values: must be left out with Exists and DoesNotExist",
        'rule.nodes.matchExpressions[3].value: unknown key; did you mean "values"?',
        "rule.nodes.matchExpressions[4].key: is required",
        "rule.nodes.matchExpressions[4].values: expected a list, got a string",
        "rule.nodes.matchExpressions[5]: expected an object, got a string",
      ],
    ],
    [
      { matchTaints: [{ key: "a", effect: "NoSchedul" }], excludeTaints: [{ kye: "a" }] },
      [
        'rule.nodes.matchTaints[0].effect: expected one of NoSchedule, PreferNoSchedule, NoExecute, got "NoSchedul"',
        "rule.nodes.excludeTaints[0].key: is required",
        'rule.nodes.excludeTaints[0].kye: unknown key; did you mean "key"?',
      ],
    ],
  ] as const)
    it(`refuses ${JSON.stringify(nodes)}`, () => assert.deepEqual(faults(nodes), expected));

  it("are shown in a form that can be pasted", () => {
    const name = fc.string({ minLength: 1 });
    const expression = fc.oneof(
      fc.record({
        key: name,
        operator: fc.constantFrom("In", "NotIn"),
        values: fc.array(fc.string(), { minLength: 1 }),
      }),
      fc.record({ key: name, operator: fc.constantFrom(...labelOperators.slice(2)) }),
    );
    const taint = fc.record(
      { key: name, value: fc.string(), effect: fc.constantFrom(...taintEffects) },
      { requiredKeys: ["key"] },
    );
    const labels = fc.dictionary(name, fc.string());
    const input = fc.record(
      {
        names: fc.array(name),
        matchLabels: labels,
        matchExpressions: fc.array(expression),
        matchTaints: fc.array(taint),
        excludeTaints: fc.array(taint),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(input, fc.array(name), fc.constant(null)), (nodes) => {
        const rule = ruleFor(nodes);
        const shown: unknown = JSON.parse(JSON.stringify(showRule(rule)["nodes"]));
        assert.deepEqual(ruleFor(shown), rule);
        assert.equal(
          Array.isArray(shown) || shown === null,
          rule.nodes === null || !needsFacts(rule.nodes),
        );
      }),
    );
  });
});
