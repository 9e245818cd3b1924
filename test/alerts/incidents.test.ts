import assert from "node:assert/strict";
import type { Transition } from "../../src/core/alert.ts";
import type { StatePort } from "../../src/core/ports.ts";
import { Incidents } from "../../src/alerts/incidents.ts";
import type { IncidentDeps, Telling } from "../../src/alerts/telling.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { alertSubject } from "../support/alerts.ts";
import { ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

const minute = 60_000;

describe("incidents", () => {
  let clock: ManualClock;
  let port: StatePort;
  let told: Telling[];

  let ids = 0;

  const create = (change: Partial<IncidentDeps> = {}): Incidents =>
    new Incidents({
      clock,
      port,
      log: recordLog().log,
      settings: () => ({ cooldownMs: 5 * minute, repeat: "backoff", sendResolved: true }),
      newId: () => `id-${++ids}`,
      tell: async (telling) => {
        told.push(telling);
        assert.ok(
          (await port.load()).has(telling.incident.subject.key),
          "told before it was saved",
        );
      },
      ...change,
    });
  const at = (
    kind: Transition["kind"],
    key = "hot|cpu",
    change: Partial<Transition> = {},
  ): Transition => ({
    kind,
    subject: alertSubject({ key }),
    level: "warning",
    threshold: 80,
    value: 90,
    atMs: clock.now(),
    peak: 95,
    reason: null,
    ...change,
  });
  const words = (): string[] =>
    told.map(({ message, record }) => `${message ?? "-"}/${record ?? "-"}`);

  beforeEach(() => {
    clock = new ManualClock();
    port = createMemoryBackend({ clock }).states("c/n");
    told = [];
  });

  it("saves, then tells people and records", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    clock.jump(minute);
    await incidents.handle([at("still"), at("resolved", "hot|cpu", { value: 12 })]);
    assert.deepEqual(words(), ["firing/firing", "resolved/resolved"]);
    assert.equal(told[1]?.incident.endedAtMs, clock.now());
    assert.equal(told[1]?.incident.peak, 95);
  });

  it("records what happens within the cooldown though people are not told", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    await incidents.handle([at("resolved")]);
    clock.jump(minute);
    await incidents.handle([at("fired")]);
    assert.deepEqual(words(), ["firing/firing", "resolved/resolved", "-/firing"]);
  });

  it("neither repeats nor forgets after a restart", async () => {
    await create().handle([at("fired")]);
    clock.jump(minute);
    const after = create();
    await after.restore();
    await after.handle([at("still")]);
    assert.deepEqual(words(), ["firing/firing"]);
    clock.jump(minute);
    await after.handle([at("resolved")]);
    assert.deepEqual(words(), ["firing/firing", "resolved/resolved"]);
    assert.equal(told[1]?.incident.id, told[0]?.incident.id);
  });

  it("takes an alert of somebody else's, and says which incident covers the next one", async () => {
    const incidents = create();
    const first = await incidents.accept(at("fired", "api|x"), clock.now());
    assert.equal(first.suppressed, null);
    const second = await incidents.accept(at("fired", "api|x"), clock.now());
    assert.equal(second.suppressed, "cooldown");
    assert.equal(second.incident.id, first.incident.id);
    clock.jump(6 * minute);
    const third = await incidents.accept(at("fired", "api|x"), clock.now());
    assert.equal(third.suppressed, null);
    assert.notEqual(third.incident.id, first.incident.id);
    assert.deepEqual(
      incidents.list().map(({ id, status }) => [id, status]),
      [
        [third.incident.id, "firing"],
        [first.incident.id, "resolved"],
      ],
    );
  });

  it("lets an alert of somebody else's be over when nobody repeats it, without a word", async () => {
    const incidents = create();
    await incidents.accept(at("fired", "api|x"), clock.now());
    clock.jump(15 * minute);
    await incidents.tick(clock.now());
    assert.equal(incidents.list()[0]?.status, "resolved");
    assert.deepEqual(words(), ["firing/firing"]);
  });

  it("ends what no rule stands behind any more", async () => {
    const incidents = create();
    await incidents.handle([at("fired", "gone|cpu"), at("fired", "here|cpu")]);
    await incidents.endOrphans(new Set(["here|cpu"]), clock.now());
    assert.deepEqual(words().slice(2), ["resolved/resolved"]);
    assert.equal(told[2]?.incident.subject.key, "gone|cpu");
  });

  it("acknowledges an open incident and keeps that over a restart", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    const { id } = incidents.list()[0]!;
    assert.equal((await incidents.acknowledge(id, "ada"))?.acknowledgedBy, "ada");
    assert.equal(await incidents.acknowledge("nothing", "ada"), null);
    const after = create();
    await after.restore();
    assert.equal(after.list()[0]?.acknowledgedBy, "ada");
    clock.jump(60 * minute);
    await after.handle([at("still"), at("resolved")]);
    assert.deepEqual(words(), ["firing/firing", "-/resolved"]);
  });

  it("forgets ended incidents after a day", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    await incidents.handle([at("resolved")]);
    clock.jump(24 * 60 * minute);
    await incidents.tick(clock.now());
    assert.deepEqual(incidents.list(), []);
    assert.equal((await port.load()).size, 0);
  });

  it("marks incidents whose samples are missing", async () => {
    const incidents = create();
    await incidents.handle([at("fired")]);
    incidents.markNoData(new Set(["hot|cpu"]));
    assert.equal(incidents.list()[0]?.noData, true);
    await incidents.handle([at("still")]);
    assert.equal(incidents.list()[0]?.noData, false);
  });

  it("drops an unreadable incident", async () => {
    await port.save(new Map([["x|cpu", "{}"]]));
    const incidents = create();
    await incidents.restore();
    assert.deepEqual(incidents.list(), []);
  });

  it("tells what was saved, whenever the agent dies", async () => {
    for (const heard of [false, true])
      for (let calls = 0; calls < 8; calls++) {
        port = createMemoryBackend({ clock }).states("c/n");
        const durable = new Map<string, string>();
        const deliver = async ({ id, message, record }: Telling): Promise<void> => {
          durable.set(id, `${message ?? "-"}/${record ?? "-"}`);
        };
        let left = calls;
        // It dies at a call: before that does anything, or before its answer is heard.
        const dying = async (call: () => Promise<void>): Promise<void> => {
          left--;
          if (left >= 0 || (heard && left === -1)) await call();
          if (left < 0) throw new Error("died");
        };
        const whole = port;
        const dead = create({
          port: { load: () => whole.load(), save: (changes) => dying(() => whole.save(changes)) },
          tell: (telling) => dying(() => deliver(telling)),
        });
        await dead.handle([at("fired")]);
        if (left >= 0) await dead.handle([at("resolved")]);
        const next = create({ tell: deliver });
        await next.restore();
        await next.tellOwed();
        const [incident] = next.list();
        if (incident === undefined) await next.handle([at("fired")]);
        if (incident?.status !== "resolved") await next.handle([at("resolved")]);
        const what = `${calls} calls, ${heard ? "then one unheard" : "then none"}`;
        assert.deepEqual([...durable.values()], ["firing/firing", "resolved/resolved"], what);
        const last = create({ tell: deliver });
        await last.restore();
        await last.tellOwed();
        assert.equal(durable.size, 2, `nothing is owed any more after ${what}`);
      }
  });

  it("tells later what could not be handed over, in its order and as perhaps told already", async () => {
    let refuses = true;
    const incidents = create({
      tell: async (telling) => {
        if (refuses) throw new Error("no outbox");
        told.push(telling);
      },
    });
    await incidents.handle([at("fired")]);
    clock.jump(minute);
    await incidents.handle([at("resolved")]);
    await incidents.tellOwed();
    assert.deepEqual(told, []);
    refuses = false;
    // The state of another store is taken up meanwhile: what is owed is owed once.
    await incidents.restore();
    await incidents.tellOwed();
    await incidents.tellOwed();
    assert.deepEqual(words(), ["firing/firing", "resolved/resolved"]);
    assert.ok(told.every(({ again }) => again));
  });
});
