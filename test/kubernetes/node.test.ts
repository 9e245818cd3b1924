import assert from "node:assert/strict";
import type { Incident } from "../../src/core/alert.ts";
import type { NodeFacts } from "../../src/core/node.ts";
import type { Running } from "../../src/core/ports.ts";
import type { KubeClient } from "../../src/kubernetes/client.ts";
import { conditionOf, conditionType, NodeCondition } from "../../src/kubernetes/condition.ts";
import { OwnNode } from "../../src/kubernetes/node.ts";
import { rights } from "../../src/kubernetes/rights.ts";
import { worstOf } from "../../src/kubernetes/state.ts";
import { ManualClock } from "../support/clock.ts";
import { fullToken, startKube, type KubeServer, type NodeConditionJson } from "../support/kube.ts";
import { recordLog } from "../support/log.ts";
import { clientOf, incident, ownNode, when } from "./kit.ts";

const minuteMs = 60_000;

describe("the agent's own Node", () => {
  let server: KubeServer;
  let client: KubeClient;
  let clock: ManualClock;
  let node: OwnNode;
  let condition: NodeCondition;
  let changes: NodeFacts[];
  let refused: number;
  let firing: Incident[];
  let log: ReturnType<typeof recordLog>;
  let running: Running[];

  beforeEach(async () => {
    server = await startKube();
    clock = new ManualClock();
    server.now = () => clock.now();
    client = clientOf(server, clock);
    [changes, refused, firing, running] = [[], 0, [], []];
    log = recordLog();
    const common = { client, clock, log: log.log, random: () => 0.5 };
    node = new OwnNode({
      ...common,
      name: ownNode.name,
      onChange: ({ metadata, spec }) =>
        void changes.push({ labels: metadata.labels ?? {}, taints: spec.taints ?? [] }),
      onRefused: () => void (refused += 1),
    });
    condition = new NodeCondition({
      ...common,
      node: ownNode.name,
      seen: () => node.current,
      firing: () => firing,
    });
  });
  afterEach(async () => {
    for (const each of running) await each.stop();
    client.close();
    await server.stop();
  });
  const start = (...which: { start(): Running }[]): void => {
    running = which.map((each) => each.start());
  };
  const told = (): NodeConditionJson | undefined =>
    server.conditions(ownNode.name).find(({ type }) => type === conditionType);

  it("tells labels and taints, and every change within five minutes", async () => {
    const gpu = { key: "gpu", effect: "NoSchedule" };
    server.setNode(ownNode.name, { labels: { pool: "a" }, taints: [gpu] });
    start(node);
    await when(clock, "it is seen", () => changes.length === 1);
    assert.deepEqual(changes, [{ labels: { pool: "a" }, taints: [{ ...gpu, value: "" }] }]);
    assert.equal(server.asked[0]?.query["resourceVersion"], "0");
    await clock.advance(5 * minuteMs);
    await when(clock, "it looked again", () => server.asked.length === 2);
    assert.equal(changes.length, 1, "what has not changed is not told");
    server.changeNode(ownNode.name, { labels: { pool: "b" } });
    await clock.advance(5 * minuteMs);
    await when(clock, "the change is seen", () => changes.length === 2);
    assert.deepEqual(changes[1], { labels: { pool: "b" }, taints: [] });
  });

  it("has another UID when it was made anew", async () => {
    server.setNode(ownNode.name);
    start(node);
    await when(clock, "it is seen", () => node.current !== null);
    const { uid } = server.setNode(ownNode.name).metadata;
    await clock.advance(5 * minuteMs);
    await when(clock, "the new one is seen", () => node.current?.metadata.uid === uid);
  });

  it("says which right is missing, and looks again", async () => {
    server.setNode(ownNode.name);
    server.deny(fullToken, rights.node);
    start(node);
    await when(clock, "it is refused", () => node.status.status === "degraded");
    assert.match(node.status.lastError ?? "", /^missing right: get nodes; without it no Events/);
    // An API server that has just started refuses everybody: only a refusal that lasts a minute is one.
    assert.equal(refused, 0);
    await when(clock, "it is refused for a minute", () => refused === 1, 2_000);
    assert.ok(clock.monotonic() >= 60_000);
    server.allow(fullToken, rights.node);
    await when(clock, "it is seen", () => node.status.status === "ok", 2_000);
    assert.equal(log.of("warn").length, 1);
  });

  it("says what to set when there is no Node of that name", async () => {
    start(node);
    await when(clock, "it is missed", () => node.status.status === "degraded");
    const why = 'no Node "node-1": set node.name (NODE_NAME) to its name';
    assert.equal(node.status.lastError, why);
    assert.equal(refused, 0);
    await when(clock, "it is missed for a minute", () => refused === 1, 2_000);
    assert.ok(clock.monotonic() >= 60_000);
    assert.equal(node.status.lastError, why);
    server.setNode(ownNode.name);
    await when(clock, "it is seen", () => node.status.status === "ok", 2_000);
  });

  it("is not taken from an answer that is none", async () => {
    server.answerOnce((reply) => reply.end('{"kind":"Node"}'));
    server.setNode(ownNode.name);
    start(node);
    await when(clock, "it is refused", () => node.status.status === "down");
    await when(clock, "it is seen", () => node.status.status === "ok", 1_000);
  });

  it("warns of nothing when the agent stops in the middle of a look", async () => {
    server.freeze();
    start(node);
    await when(clock, "it has asked", () => server.asked.length > 0);
    for (const each of running.splice(0)) await each.stop();
    assert.deepEqual(log.of("warn"), []);
  });

  describe("has a condition that", () => {
    beforeEach(() => {
      server.setNode(ownNode.name);
    });

    it("says whether alerts fire, and changes its time only with its status", async () => {
      start(node, condition);
      await when(clock, "it is told", () => told()?.status === "False");
      const before = told();
      assert.equal(before?.reason, "NoAlerts");
      assert.equal(
        before.lastTransitionTime,
        `${new Date(clock.now()).toISOString().slice(0, 19)}Z`,
      );
      await clock.advance(minuteMs);
      firing = [incident({ level: "warning" })];
      await when(clock, "it is set", () => told()?.status === "True", 2_000);
      const set = told();
      assert.equal(set?.reason, "NodeCPUHigh");
      assert.equal(set.message, "warning cpu");
      assert.notEqual(set.lastTransitionTime, before.lastTransitionTime);
      await clock.advance(minuteMs);
      firing = [...firing, incident({ id: "incident-2", index: "memory" })];
      await when(
        clock,
        "it tells both",
        () => told()?.message === "critical memory, warning cpu",
        2_000,
      );
      assert.equal(told()?.reason, "NodeMemoryHigh");
      assert.equal(told()?.lastTransitionTime, set.lastTransitionTime);
      firing = [];
      await when(clock, "it is cleared", () => told()?.status === "False", 2_000);
      assert.notEqual(told()?.lastTransitionTime, set.lastTransitionTime);
    });

    it("is told again every five minutes though nothing has changed", async () => {
      start(node, condition);
      await when(clock, "it is told", () => told() !== undefined);
      const before = told();
      const patches = (): number => server.asked.filter(({ method }) => method === "PATCH").length;
      await clock.advance(5 * minuteMs - 2_000);
      assert.equal(patches(), 1);
      await when(clock, "it is told again", () => patches() === 2, 2_000);
      await when(
        clock,
        "there is a heartbeat",
        () => told()?.lastHeartbeatTime !== before?.lastHeartbeatTime,
      );
      assert.equal(told()?.lastTransitionTime, before?.lastTransitionTime);
    });

    it("keeps the time of its change over a restart that did not take it away", async () => {
      start(node, condition);
      await when(clock, "it is told", () => told() !== undefined);
      const before = told();
      await running[0]?.stop();
      await clock.advance(minuteMs);
      const again = new OwnNode({
        client,
        clock,
        log: log.log,
        random: () => 0.5,
        name: ownNode.name,
        onChange: () => {},
        onRefused: () => {},
      });
      running.push(again.start());
      await when(clock, "it is seen", () => again.current !== null);
      running.push(
        new NodeCondition({
          client,
          clock,
          log: log.log,
          node: ownNode.name,
          seen: () => again.current,
          firing: () => [],
        }).start(),
      );
      await when(
        clock,
        "it is told again",
        () => told()?.lastHeartbeatTime !== before?.lastHeartbeatTime,
      );
      assert.equal(told()?.lastTransitionTime, before?.lastTransitionTime);
    });

    it("leaves others as they are, and goes when the agent stops", async () => {
      start(condition);
      await when(clock, "it is told", () => told() !== undefined);
      await when(clock, "the answer is here", () => condition.status.status === "ok");
      const stopping = Promise.all(running.splice(0).map((each) => each.stop()));
      await when(clock, "it is gone", () => told() === undefined);
      await stopping;
      assert.equal(clock.waiting, 0);
    });

    it("does not hold up the stop of the agent", async () => {
      start(condition);
      await when(clock, "it is told", () => told() !== undefined && clock.waiting === 1);
      server.freeze();
      let stopped = false;
      void Promise.all(running.splice(0).map((each) => each.stop())).then(() => (stopped = true));
      await when(
        clock,
        "it has asked",
        () => server.asked.at(-1)?.body.includes("delete") === true,
      );
      await clock.advance(300);
      await when(clock, "it has stopped", () => stopped);
      assert.deepEqual(log.of("warn"), ["node condition not removed"]);
    });

    it("says which right is missing, and is told when that is given", async () => {
      server.deny(fullToken, rights.nodeCondition);
      start(condition);
      await when(clock, "it is refused", () => condition.status.status === "degraded");
      assert.match(condition.status.lastError ?? "", /^missing right: patch nodes\/status/);
      server.allow(fullToken, rights.nodeCondition);
      await when(clock, "it is told", () => told() !== undefined, 10_000);
      await when(clock, "it is well", () => condition.status.status === "ok");
    });

    it("has a message of bounded length", () => {
      const many = Array.from({ length: 200 }, (_, i) => incident({ id: String(i) }));
      assert.ok(Buffer.byteLength(conditionOf(many).message) <= 512);
    });
  });
});

describe("several parts as one", () => {
  it("are as well as the worst of them, and tell all that is wrong", () => {
    const ok = { status: "ok", sinceMs: 1, lastError: "long ago" } as const;
    const down = { status: "down", sinceMs: 3, lastError: "refused" } as const;
    const degraded = { status: "degraded", sinceMs: 2, lastError: "missing right" } as const;
    assert.deepEqual(worstOf([ok, down, degraded, down]), {
      status: "down",
      sinceMs: 3,
      lastError: "refused; missing right",
    });
    assert.deepEqual(worstOf([ok]), ok);
  });
});
