import assert from "node:assert/strict";
import type { Transition } from "../../src/core/alert.ts";
import type { Acknowledgement, AcknowledgementPort } from "../../src/core/action.ts";
import type { StatePort } from "../../src/core/ports.ts";
import type { Level } from "../../src/core/rule.ts";
import { Acknowledgements } from "../../src/alerts/acknowledgements.ts";
import { Incidents } from "../../src/alerts/incidents.ts";
import { act, acknowledgeAnywhere, type ActDeps } from "../../src/alerts/links/act.ts";
import { isSilenced } from "../../src/alerts/mute.ts";
import { Silences } from "../../src/alerts/silences.ts";
import type { Telling } from "../../src/alerts/telling.ts";
import type { ActionClaim } from "../../src/core/action.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { alertSubject } from "../support/alerts.ts";
import { ManualClock, settle } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

const minute = 60_000;

describe("an alert that is acknowledged at another agent", () => {
  let clock: ManualClock;
  let states: StatePort;
  let port: AcknowledgementPort;
  let told: Telling[];
  let asked: number;
  let ids = 0;

  const create = (of: AcknowledgementPort = port): Incidents => {
    const { log } = recordLog();
    const counted = { ...of, list: () => ((asked += 1), of.list()) };
    return new Incidents({
      clock,
      log,
      port: states,
      settings: () => ({ cooldownMs: 5 * minute, repeat: "every", sendResolved: true }),
      newId: () => `id-${++ids}`,
      acknowledgements: new Acknowledgements({ port: counted, clock, log }),
      tell: async (telling) => void told.push(telling),
    });
  };
  const at = (kind: Transition["kind"], level: Level = "warning"): Transition => ({
    kind,
    subject: alertSubject(),
    level,
    threshold: 80,
    value: 90,
    atMs: clock.now(),
    peak: 95,
    reason: null,
  });
  const messages = (): (string | null)[] => told.flatMap(({ message }) => message ?? []);
  const said = (id: string, alert: string, by = "ada"): Acknowledgement => {
    const atMs = clock.now();
    return { id, alert, by, atMs };
  };
  const alertId = (): string => told[0]?.incident.id ?? "";

  beforeEach(() => {
    clock = new ManualClock();
    const backend = createMemoryBackend({ clock });
    states = backend.states("c/n");
    port = backend.acknowledgements;
    told = [];
    asked = 0;
  });

  it("is not told again, and says who takes care of it, over a restart too", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    assert.equal(asked, 0, "of what begins nobody can have said anything");
    await port.put(said("k1", alertId()));
    clock.jump(5 * minute);
    await incidents.handle([at("still")]);
    assert.deepEqual(messages(), ["firing"]);
    assert.equal(incidents.list()[0]?.acknowledgedBy, "ada");
    assert.equal(asked, 1);
    const after = create();
    await after.restore();
    clock.jump(5 * minute);
    await after.handle([at("still"), at("resolved")]);
    assert.deepEqual(messages(), ["firing"]);
    assert.equal(after.list()[0]?.acknowledgedBy, "ada");
  });

  it("is told of when it escalates, and again until somebody says so anew", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    await port.put(said("k1", alertId()));
    clock.jump(minute);
    await incidents.handle([at("escalated", "critical")]);
    assert.deepEqual(messages(), ["firing", "escalated"]);
    assert.equal(incidents.list()[0]?.acknowledgedBy, null);
    clock.jump(5 * minute);
    await incidents.handle([at("still", "critical")]);
    assert.deepEqual(messages(), ["firing", "escalated", "repeated"]);
    await port.put(said("k2", alertId(), "grace"));
    clock.jump(5 * minute);
    await incidents.handle([at("still", "critical")]);
    assert.deepEqual(messages(), ["firing", "escalated", "repeated"]);
    assert.equal(incidents.list()[0]?.acknowledgedBy, "grace");
  });

  it("is not the next incident of the same rule", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    await port.put(said("k1", alertId()));
    clock.jump(minute);
    await incidents.handle([at("resolved")]);
    clock.jump(10 * minute);
    await incidents.handle([at("fired")]);
    assert.deepEqual(messages(), ["firing", "firing"]);
  });

  it("is told when the store does not answer: a message waits a moment only", async () => {
    const never = new Promise<never>(() => {});
    const incidents = create({ ...port, list: () => never });
    await incidents.handle([at("fired")]);
    clock.jump(5 * minute);
    const handled = incidents.handle([at("still")]);
    await settle();
    await clock.advance(300);
    await handled;
    assert.deepEqual(messages(), ["firing", "repeated"]);
  });

  describe("by a link", () => {
    let silences: Silences;
    let incidents: Incidents;

    const deps = (): ActDeps => ({
      incidents,
      silences,
      acknowledgements: port,
      timezone: () => "UTC",
      newId: () => `ack-${++ids}`,
      clock,
    });
    const claim = (action: ActionClaim["action"], alert: string): ActionClaim => {
      const { rule, index, labels, node } = alertSubject({ labels: { mount: "/" } });
      const about = { alert, cluster: node.cluster, node: node.name, rule, index, labels };
      return { action, ...about, level: "warning", expiresAt: 0 };
    };

    beforeEach(() => {
      const { silences: of } = createMemoryBackend({ clock });
      const saved = { load: async () => [], save: async () => {} };
      silences = new Silences({ port: of, saved, clock, log: recordLog().log });
      incidents = create();
    });

    it("holds at once where it fires, and says that it is over when it is", async () => {
      await incidents.handle([at("fired")]);
      const done = { state: "done", by: "ada", untilMs: null } as const;
      const link = { claim: claim("ack", alertId()), id: "l1" };
      assert.deepEqual(await act(link, "ada", deps()), done);
      assert.deepEqual(await act(link, "ada", deps()), done);
      assert.equal(incidents.list()[0]?.acknowledgedBy, "ada");
      assert.deepEqual(await port.list(), []);
      clock.jump(minute);
      await incidents.handle([at("resolved")]);
      assert.deepEqual(await act(link, "ada", deps()), { state: "over" });
    });

    it("goes through the store where it does not", async () => {
      const said = { alert: "elsewhere", by: "ada" };
      assert.equal((await acknowledgeAnywhere(said, deps())).state, "done");
      assert.deepEqual(
        (await port.list()).map(({ alert, by }) => [alert, by]),
        [["elsewhere", "ada"]],
      );
    });

    it("silences that one alert, once, from when it is first followed", async () => {
      const link = { claim: claim("silence_hour", "a"), id: "l2" };
      const first = await act(link, "ada", deps());
      assert.deepEqual(first, { state: "done", by: "ada", untilMs: clock.now() + 60 * minute });
      clock.jump(10 * minute);
      assert.deepEqual(await act(link, "grace", deps()), first);
      const [silence, ...more] = silences.known;
      assert.ok(silence !== undefined && more.length === 0);
      assert.equal(silence.author, "ada");
      const about = (labels: Record<string, string>, change = {}): boolean =>
        isSilenced(
          silence,
          { level: "critical", subject: alertSubject({ labels, ...change }) },
          clock.now(),
        );
      assert.ok(about({ mount: "/" }));
      assert.ok(!about({ mount: "/data" }));
      assert.ok(!about({ mount: "/", device: "sda" }), "another series of the rule");
      assert.ok(!about({}));
      assert.ok(!about({ mount: "/" }, { rule: "other" }));
      assert.ok(!about({ mount: "/" }, { node: { cluster: "c", name: "m", ip: "" } }));
    });

    it("does not silence again what somebody has ended", async () => {
      const link = { claim: claim("silence_morning", "a"), id: "l3" };
      await act(link, "ada", deps());
      await silences.end("link-l3");
      assert.deepEqual(await act(link, "grace", deps()), { state: "ended", by: "ada" });
    });
  });
});
