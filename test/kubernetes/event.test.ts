import assert from "node:assert/strict";
import fc from "fast-check";
import { collectors } from "../../src/collect/index.ts";
import { EventBudget } from "../../src/kubernetes/budget.ts";
import {
  eventName,
  eventNamespace,
  firingKey,
  foreignNote,
  microTime,
  noteOf,
  toEvent,
} from "../../src/kubernetes/event.ts";
import { reasonOf } from "../../src/kubernetes/reasons.ts";
import { TroubleNotes } from "../../src/kubernetes/trouble.ts";
import { eventFaults, timeFault } from "../support/kube-events.ts";
import { incident } from "./kit.ts";

const atMs = Date.UTC(2026, 0, 5, 12, 0, 0, 250);
const node = { apiVersion: "v1", kind: "Node", name: "node-1", uid: "u-1" } as const;
const sender = { instance: "node-1", offsetMs: 0 };

/** Names of nodes: DNS subdomains, of any length up to the longest. */
const nodeName = fc
  .array(fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/), { minLength: 1, maxLength: 9 })
  .map((labels) =>
    labels
      .join(".")
      .slice(0, 253)
      .replace(/[.-]+$/, ""),
  );

describe("reasons of Events", () => {
  it("follow from every index there is, in its own words", () => {
    const indexes = collectors.flatMap(({ indexes: of }) => of.map(({ name }) => name));
    const table = Object.fromEntries(
      indexes.map((index) => [
        index,
        [
          reasonOf(index, "breach", ">"),
          reasonOf(index, "breach", "<="),
          reasonOf(index, "recovery", ">"),
        ].join(" "),
      ]),
    );
    assert.deepEqual(table, {
      cpu: "NodeCPUHigh NodeCPULow NodeCPURecovered",
      cpu_iowait: "NodeCPUIOWaitHigh NodeCPUIOWaitLow NodeCPUIOWaitRecovered",
      cpu_steal: "NodeCPUStealHigh NodeCPUStealLow NodeCPUStealRecovered",
      memory: "NodeMemoryHigh NodeMemoryLow NodeMemoryRecovered",
      disk: "NodeDiskHigh NodeDiskLow NodeDiskRecovered",
      load1: "NodeLoad1High NodeLoad1Low NodeLoad1Recovered",
      load5: "NodeLoad5High NodeLoad5Low NodeLoad5Recovered",
      load15: "NodeLoad15High NodeLoad15Low NodeLoad15Recovered",
      swap: "NodeSwapHigh NodeSwapLow NodeSwapRecovered",
      inodes: "NodeInodesHigh NodeInodesLow NodeInodesRecovered",
      net_receive: "NodeNetReceiveHigh NodeNetReceiveLow NodeNetReceiveRecovered",
      net_transmit: "NodeNetTransmitHigh NodeNetTransmitLow NodeNetTransmitRecovered",
      net_errors: "NodeNetErrorsHigh NodeNetErrorsLow NodeNetErrorsRecovered",
    });
  });

  it("are words of at most 128 bytes for any index", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (index) => {
        for (const reason of [reasonOf(index, "breach", ">"), reasonOf(index, "recovery", "<")])
          assert.match(reason, /^Node[A-Za-z0-9]{3,124}$/);
      }),
      { examples: [["constructor"], ["__proto__"], ["磁盘"], ["queue depth"], ["x".repeat(200)]] },
    );
  });
});

describe("an Event", () => {
  it("has a name the API server takes, for any node", () => {
    fc.assert(
      fc.property(nodeName, fc.string(), (name, key) => {
        const made = eventName(name, key);
        assert.ok(made.length <= 253, String(made.length));
        assert.match(made, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/);
      }),
    );
  });

  it("has the same name for the same thing, and another for another", () => {
    assert.equal(eventName("node-1", "a"), eventName("node-1", "a"));
    assert.notEqual(eventName("node-1", "a"), eventName("node-1", "b"));
  });

  it("is valid, whatever an alert says", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 3_000 }),
        fc.string({ unit: "binary", minLength: 1, maxLength: 200 }),
        fc.constantFrom("firing" as const, "resolved" as const),
        (message, instance, transition) => {
          const base = incident();
          const about = { ...base, subject: { ...base.subject, message } };
          const event = toEvent(noteOf(about, transition, atMs), node, { instance, offsetMs: 7 });
          assert.deepEqual(eventFaults(event, "default"), []);
          assert.equal(timeFault(event), null);
        },
      ),
      { numRuns: 40, examples: [["", "é".repeat(128), "firing"]] },
    );
  });

  it("has times of six digits", () => {
    assert.equal(microTime(atMs), "2026-01-05T12:00:00.250000Z");
  });

  it("is in the namespace of its object, in default for a Node", () => {
    assert.equal(eventNamespace(node), "default");
    assert.equal(eventNamespace({ ...node, kind: "Pod", namespace: "monitoring" }), "monitoring");
  });

  it("tells what breached, by how much, and under which rule", () => {
    const note = noteOf(incident(), "firing", atMs);
    assert.deepEqual(
      { ...note, key: "" },
      {
        key: "",
        type: "Warning",
        reason: "NodeCPUHigh",
        action: "Alert",
        text: "critical: cpu is 95.5 % (> 90 %), rule cpu-high",
        atMs,
      },
    );
    const over = incident({ status: "resolved", value: 20 });
    const recovery = noteOf(over, "resolved", over.startedAtMs + 600_000);
    assert.equal(recovery.type, "Normal");
    assert.equal(recovery.reason, "NodeCPURecovered");
    assert.equal(recovery.text, "cpu is 20 %, peak 97 %, lasted 10 min, rule cpu-high");
    assert.match(foreignNote(note, incident()).text, /^node lab\/node-1: critical: cpu/);
  });

  it("tells of an alert without a value that it fires and that it is over", () => {
    const none = incident({ value: null, threshold: null, peak: null });
    const bare = { ...none, subject: { ...none.subject, operator: null } };
    assert.equal(noteOf(bare, "firing", atMs).text, "critical: cpu fires, rule cpu-high");
    assert.equal(
      noteOf(bare, "resolved", bare.startedAtMs + 600_000).text,
      "cpu is over, lasted 10 min, rule cpu-high",
    );
  });

  it("is one for each firing and level of an alert", () => {
    const keys = [
      incident(),
      incident({ level: "warning" }),
      incident({ flaps: 1 }),
      incident({ id: "incident-2" }),
    ].map(firingKey);
    assert.equal(new Set(keys).size, 4);
    assert.notEqual(noteOf(incident(), "resolved", atMs).key, keys[0]);
  });

  it("is made with the time of the server where its clock differs", () => {
    const event = toEvent(noteOf(incident(), "firing", atMs), node, {
      ...sender,
      offsetMs: 60_000,
    });
    assert.equal(event["eventTime"], "2026-01-05T12:01:00.250000Z");
  });
});

describe("the budget of Events", () => {
  it("is 25 at once for an object and one more every five minutes", () => {
    const budget = new EventBudget();
    const taken = (object: string, nowMs: number, tries: number): number =>
      Array.from({ length: tries }, () => budget.take(object, nowMs)).filter(Boolean).length;
    assert.equal(taken("a", 0, 40), 25);
    assert.equal(taken("b", 0, 40), 25);
    assert.equal(taken("a", 299_999, 5), 0);
    assert.equal(taken("a", 300_001, 5), 1);
    assert.equal(taken("a", 4 * 300_001, 9), 3);
    assert.equal(taken("a", 3_600_000_000, 40), 25);
  });

  it("never gives more than that over any time", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(600_000), { maxLength: 300 }), (gaps) => {
        const budget = new EventBudget();
        let nowMs = 0;
        let taken = 0;
        for (const gap of gaps) {
          nowMs += gap;
          if (budget.take("a", nowMs)) taken += 1;
        }
        assert.ok(taken <= 25 + nowMs / 300_000 + 1e-6);
      }),
    );
  });
});

describe("trouble of the agent's parts", () => {
  const redis = (status: "ok" | "down" | "starting", sinceMs: number) => ({
    redis: { status, sinceMs, lastError: status === "down" ? "refused" : null },
  });
  const told = (notes: ReturnType<TroubleNotes["look"]>): string[] =>
    notes.map(({ type, reason, text }) => `${type} ${reason}: ${text}`);

  it("is told once, after a minute, and its end is told", () => {
    const troubles = new TroubleNotes();
    assert.deepEqual(told(troubles.look(redis("down", 0), 59_999)), []);
    assert.deepEqual(told(troubles.look(redis("down", 0), 60_000)), [
      "Warning RedisDown: redis is down: refused",
    ]);
    assert.deepEqual(told(troubles.look(redis("down", 0), 900_000)), []);
    assert.deepEqual(told(troubles.look(redis("starting", 900_000), 900_000)), []);
    assert.deepEqual(told(troubles.look(redis("ok", 910_000), 915_000)), [
      "Normal RedisRecovered: redis is ok again",
    ]);
    assert.deepEqual(told(troubles.look(redis("ok", 910_000), 930_000)), []);
  });

  it("that is over sooner is not worth an Event", () => {
    const troubles = new TroubleNotes();
    troubles.look(redis("down", 0), 45_000);
    assert.deepEqual(told(troubles.look(redis("ok", 50_000), 60_000)), []);
  });
});
