import assert from "node:assert/strict";
import type { Transition } from "../../src/core/alert.ts";
import type { StatePort } from "../../src/core/ports.ts";
import type { Rule } from "../../src/core/rule.ts";
import { Engine } from "../../src/rules/engine.ts";
import { parseRules } from "../../src/rules/schema.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

const tickMs = 10_000;
const node = { cluster: "prod", name: "web-1", ip: "10.0.0.1" };
const definitions = [{ name: "cpu", unit: "%", decimals: 1, labels: [], help: "" }];

function rules(...input: readonly Record<string, unknown>[]): readonly Rule[] {
  const parsed = parseRules(input, "rules");
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

function told(transitions: readonly Transition[]): string[] {
  return transitions.map(
    ({ kind, subject, reason }) => `${kind} ${subject.key}${reason === null ? "" : ` (${reason})`}`,
  );
}

describe("engine", () => {
  let port: StatePort;
  let slot: number;
  const engineOn = (log = recordLog().log): Engine =>
    new Engine({ node, definitions: () => definitions, port, log });
  const tick = (engine: Engine, values: Record<string, number | null>): string[] =>
    told(
      engine.judge({ slotMs: tickMs * slot++, values: new Map(Object.entries(values)) }, tickMs),
    );

  beforeEach(() => {
    port = createMemoryBackend({ clock: new ManualClock() }).states("prod/web-1");
    slot = 1;
  });

  it("judges every series of an index, each by itself", () => {
    const engine = engineOn();
    engine.setRules(rules({ name: "full", index: "disk", threshold: 80 }), true);
    assert.deepEqual(tick(engine, { disk: 81, 'disk{mount="/data"}': 10, cpu: 99 }), [
      "fired full|disk",
    ]);
    assert.deepEqual(tick(engine, { disk: 79, 'disk{mount="/data"}': 99, cpu: 99 }), [
      "resolved full|disk",
      'fired full|disk{mount="/data"}',
    ]);
  });

  it("matches labels and nodes by pattern, and leaves disabled rules alone", () => {
    const engine = engineOn();
    engine.setRules(
      rules(
        { name: "data", index: "disk", threshold: 80, labels: { mount: "/data*" } },
        { name: "elsewhere", index: "disk", threshold: 80, nodes: ["db-*"] },
        {
          name: "here",
          index: "disk",
          threshold: 80,
          nodes: ["prod/web-*"],
          labels: { mount: "/srv" },
        },
        { name: "off", index: "disk", threshold: 80, enabled: false },
      ),
      true,
    );
    assert.deepEqual(
      tick(engine, { disk: 90, 'disk{mount="/data2"}': 90, 'disk{mount="/srv"}': 90 }),
      ['fired data|disk{mount="/data2"}', 'fired here|disk{mount="/srv"}'],
    );
  });

  it("carries value, peak, threshold and unit in a transition", () => {
    const engine = engineOn();
    engine.setRules(rules({ name: "hot", index: "cpu", threshold: 80 }), true);
    tick(engine, { cpu: 85 });
    tick(engine, { cpu: 97.5 });
    const [end] = engine.judge({ slotMs: 40_000, values: new Map([["cpu", 12]]) }, tickMs);
    assert.equal(end?.value, 12);
    assert.equal(end?.peak, 97.5);
    assert.equal(end?.threshold, 80);
    assert.equal(end?.subject.unit, "%");
  });

  it("keeps an alert whose series is missing, and notices a removed rule only when every source has spoken", () => {
    const engine = engineOn();
    engine.setRules(rules({ name: "hot", index: "cpu", threshold: 80 }), true);
    tick(engine, { cpu: 90 });
    assert.deepEqual(tick(engine, {}), []);
    assert.equal(engine.states().get("hot|cpu")?.noDataSinceMs, 20_000);
    engine.setRules([], false);
    assert.deepEqual(tick(engine, { cpu: 90 }), ["still hot|cpu"]);
    engine.setRules([], true);
    assert.deepEqual(tick(engine, { cpu: 90 }), ["resolved hot|cpu (rule_removed)"]);
    assert.equal(engine.states().size, 0);
  });

  it("goes on after a restart where it was, without firing again", async () => {
    const before = engineOn();
    const subject = rules(
      { name: "hot", index: "cpu", threshold: 80, for: 20 },
      { name: "full", index: "disk", threshold: 1 },
    );
    before.setRules(subject, true);
    for (let i = 0; i < 3; i++) tick(before, { cpu: 90, disk: 50 });
    await before.save();
    const after = engineOn();
    await after.restore();
    after.setRules(subject, true);
    assert.deepEqual(tick(after, { cpu: 90 }), ["still hot|cpu"]);
    assert.equal(after.states().get("full|disk")?.phase, "firing");
    assert.deepEqual(tick(after, { cpu: 10 }), ["resolved hot|cpu"]);
    await after.save();
    assert.deepEqual([...(await port.load()).keys()], ["full|disk"]);
  });

  it("saves a long pending alert once a minute, not with every tick", async () => {
    const engine = engineOn();
    engine.setRules(rules({ name: "hot", index: "cpu", threshold: 80, for: 3_600 }), true);
    let saves = 0;
    const inner = port;
    port = inner;
    for (let i = 0; i < 30; i++) {
      tick(engine, { cpu: 90 });
      const before = JSON.stringify([...(await inner.load())]);
      await engine.save();
      if (JSON.stringify([...(await inner.load())]) !== before) saves += 1;
    }
    assert.equal(saves, 5);
  });

  it("drops an unreadable state with a warning and starts afresh", async () => {
    await port.save(new Map([["hot|cpu", "{garbled"]]));
    const { log, of } = recordLog();
    const engine = engineOn(log);
    await engine.restore();
    engine.setRules(rules({ name: "hot", index: "cpu", threshold: 80 }), true);
    assert.deepEqual(of("warn"), ["alert state unreadable"]);
    assert.deepEqual(tick(engine, { cpu: 90 }), ["fired hot|cpu"]);
  });

  it("finds the series in the key of a rule whose name holds any character", async () => {
    const subject = rules({ name: 'a|b{c}"', index: "disk", threshold: 1 });
    const before = engineOn();
    before.setRules(subject, true);
    tick(before, { 'disk{mount="/a|b{c}"}': 50 });
    await before.save();
    const after = engineOn();
    await after.restore();
    after.setRules(subject, true);
    assert.deepEqual(tick(after, { 'disk{mount="/a|b{c}"}': 50 }), [
      'still a|b{c}"|disk{mount="/a|b{c}"}',
    ]);
  });

  const gpuOnly = {
    name: "hot",
    index: "cpu",
    threshold: 80,
    nodes: { matchLabels: { pool: "gpu" } },
  };
  const gpu = { labels: { pool: "gpu" }, taints: [] };

  it("judges by a rule that asks for labels only once they are known, and ends its alerts when they change", () => {
    const engine = engineOn();
    engine.setRules(rules(gpuOnly), true);
    assert.deepEqual(tick(engine, { cpu: 90 }), []);
    engine.setFacts(gpu);
    assert.deepEqual(tick(engine, { cpu: 90 }), ["fired hot|cpu"]);
    engine.setFacts({ labels: { pool: "gpu", zone: "a" }, taints: [] });
    assert.deepEqual(tick(engine, { cpu: 90 }), ["still hot|cpu"]);
    engine.setFacts({ labels: {}, taints: [] });
    assert.deepEqual(tick(engine, { cpu: 90 }), ["resolved hot|cpu (rule_removed)"]);
    assert.equal(engine.states().size, 0);
  });

  it("keeps alerts of an earlier run untouched until the labels are known", async () => {
    const before = engineOn();
    before.setFacts(gpu);
    before.setRules(rules(gpuOnly), true);
    tick(before, { cpu: 90 });
    await before.save();
    for (const [facts, then] of [
      [gpu, "still hot|cpu"],
      [{ labels: {}, taints: [] }, null],
    ] as const) {
      const after = engineOn();
      await after.restore();
      after.setRules(rules(gpuOnly), true);
      assert.deepEqual(tick(after, { cpu: 10 }), []);
      assert.ok(after.awaits("hot|cpu"));
      await after.save();
      assert.deepEqual([...(await port.load()).keys()], ["hot|cpu"]);
      after.setFacts(facts);
      assert.deepEqual(tick(after, { cpu: 90 }), then === null ? [] : [then]);
      assert.equal(after.awaits("hot|cpu"), false);
      await after.save();
      assert.equal((await port.load()).has("hot|cpu"), then !== null);
    }
  });

  it("lets an alert wait whose rule begins to ask for labels before they are known", () => {
    const engine = engineOn();
    engine.setRules(rules({ ...gpuOnly, nodes: null }), true);
    tick(engine, { cpu: 90 });
    engine.setRules(rules(gpuOnly), true);
    assert.deepEqual(tick(engine, { cpu: 10 }), []);
    assert.ok(engine.awaits("hot|cpu"));
    engine.setFacts(gpu);
    assert.deepEqual(tick(engine, { cpu: 90 }), ["still hot|cpu"]);
  });

  it("waits for no label where the name of the node or the rule's removal decides", async () => {
    const before = engineOn();
    before.setRules(rules({ ...gpuOnly, nodes: null }), true);
    tick(before, { cpu: 90 });
    await before.save();
    for (const list of [
      rules({ ...gpuOnly, nodes: { names: ["db-*"], matchLabels: { pool: "gpu" } } }),
      rules({ ...gpuOnly, index: "memory" }),
      rules({ ...gpuOnly, enabled: false }),
      [],
    ]) {
      const after = engineOn();
      await after.restore();
      after.setRules(list, true);
      tick(after, { cpu: 90 });
      assert.equal(after.awaits("hot|cpu"), false);
      await after.save();
      assert.deepEqual([...(await port.load()).keys()], []);
      await before.save();
      tick(before, { cpu: 10 });
      tick(before, { cpu: 90 });
      await before.save();
    }
  });
});
