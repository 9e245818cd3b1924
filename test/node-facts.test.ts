import assert from "node:assert/strict";
import type { NodeFacts } from "../src/core/node.ts";
import { createNodeFacts } from "../src/node-facts.ts";

const gpu = { key: "dedicated", value: "gpu", effect: "NoSchedule" };

describe("facts of the node", () => {
  it("are the configured labels where there is no cluster", () => {
    const { current } = createNodeFacts({ pool: "gpu" }, { awaitsCluster: false });
    assert.deepEqual(current, { labels: { pool: "gpu" }, taints: [] });
  });

  it("are unknown until the cluster tells, and then the cluster's labels win", () => {
    const facts = createNodeFacts({ pool: "gpu", rack: "7" }, { awaitsCluster: true });
    assert.equal(facts.current, null);
    facts.set({ labels: { pool: "cpu" }, taints: [gpu] });
    assert.deepEqual(facts.current, { labels: { pool: "cpu", rack: "7" }, taints: [gpu] });
  });

  it("tell everybody of a change, and of nothing else", () => {
    const facts = createNodeFacts({}, { awaitsCluster: true });
    const seen: NodeFacts[] = [];
    facts.onChange((now) => seen.push(now));
    for (const labels of [{ a: "1" }, { a: "1" }, { a: "2" }]) facts.set({ labels, taints: [] });
    assert.deepEqual(
      seen.map(({ labels }) => labels),
      [{ a: "1" }, { a: "2" }],
    );
  });
});
