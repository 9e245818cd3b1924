import assert from "node:assert/strict";
import { readPosted, readWebhook } from "../src/api/alertmanager/read.ts";
import { Incidents } from "../src/alerts/incidents.ts";
import type { Telling } from "../src/alerts/telling.ts";
import type { Repeat } from "../src/core/policy.ts";
import { createMemoryBackend } from "../src/store/memory/index.ts";
import type { Backend } from "../src/store/contract.ts";
import { takeReports } from "../src/reported-alerts.ts";
import { ManualClock } from "./support/clock.ts";
import { recordLog } from "./support/log.ts";

const minute = 60_000;
const own = { cluster: "lab", name: "node-1", ip: "10.0.0.1" };

describe("alerts that others report", () => {
  let clock: ManualClock;
  let backend: Backend;
  let told: Telling[];
  let startMs: number;
  let incidents: Incidents;
  let repeat: Repeat;

  const create = (): Incidents => {
    let ids = 0;
    return new Incidents({
      clock,
      port: backend.states("lab/node-1"),
      log: recordLog().log,
      settings: () => ({ cooldownMs: 5 * minute, repeat, sendResolved: true }),
      newId: () => `id-${clock.now()}-${++ids}`,
      tell: async (telling) => void told.push(telling),
    });
  };
  const iso = (ms: number): string => new Date(ms).toISOString();
  const take = (alerts: Parameters<typeof takeReports>[0]) =>
    takeReports(alerts, { node: own, nowMs: clock.now(), backend, incidents, unitOf: () => "" });
  /** What Prometheus sends at each evaluation: fires until four minutes from now. */
  const send = (labels: Record<string, string>, more: object = {}) => {
    const startsAt = iso(startMs);
    const endsAt = iso(clock.now() + 4 * minute);
    const { alerts, faults } = readPosted([{ labels, startsAt, endsAt, ...more }], clock.now());
    assert.deepEqual(faults, []);
    return take(alerts);
  };
  const messages = (): string[] =>
    told
      .filter(({ message }) => message !== null)
      .map(({ message, atMs }) => `${(atMs - startMs) / minute}:${message}`);
  const labels = { alertname: "HighLatency", severity: "page", instance: "node-7:9100" };

  beforeEach(() => {
    clock = new ManualClock();
    startMs = clock.now();
    backend = createMemoryBackend({ clock });
    told = [];
    repeat = "never";
    incidents = create();
  });

  const anHour = async (): Promise<void> => {
    for (let at = 0; at <= 60; at++) {
      await send(labels);
      await incidents.tick(clock.now());
      clock.jump(minute);
    }
  };

  for (const [how, expected] of [
    ["never", ["0:firing"]],
    [
      "every",
      Array.from({ length: 13 }, (_, at) => `${at * 5}:${at === 0 ? "firing" : "repeated"}`),
    ],
    ["backoff", ["0:firing", "5:repeated", "15:repeated", "35:repeated"]],
  ] as const)
    it(`are one incident and one message while they are sent each minute, repeated: ${how}`, async () => {
      repeat = how;
      await anHour();
      assert.deepEqual(messages(), expected);
      assert.equal(incidents.list().length, 1);
      assert.equal(told.filter(({ record }) => record !== null).length, 1);
    });

  it("are over when their sender says so, once, with the time it says", async () => {
    startMs = clock.now() - 10 * minute;
    await send(labels);
    clock.jump(minute);
    const endsAt = iso(clock.now() - 2_000);
    for (let at = 0; at < 15; at++) await send(labels, { endsAt });
    assert.deepEqual(
      told.map(({ message, record }) => `${message}/${record}`),
      ["firing/firing", "resolved/resolved"],
    );
    const { startedAtMs, endedAtMs } = told[1]!.incident;
    assert.equal(startedAtMs, startMs);
    assert.equal(endedAtMs, clock.now() - 2_000);
  });

  it("say nothing about the end of what was never known", async () => {
    await send(labels, { endsAt: iso(clock.now()) });
    assert.deepEqual(told, []);
    assert.deepEqual(incidents.list(), []);
  });

  it("are over by time when they are not sent again", async () => {
    await send(labels);
    clock.jump(4 * minute - 1);
    await incidents.tick(clock.now());
    assert.deepEqual(messages(), ["0:firing"]);
    clock.jump(10_000);
    await incidents.tick(clock.now());
    await incidents.tick(clock.now());
    assert.equal(told.at(-1)?.message, "resolved");
    assert.equal(told.length, 2);
    assert.equal(told[1]?.incident.endedAtMs, startMs + 4 * minute);
  });

  it("of a webhook are not over before a day", async () => {
    const alerts = [
      { status: "firing", labels, startsAt: iso(startMs), endsAt: "0001-01-01T00:00:00Z" },
    ];
    await take(readWebhook({ version: "4", status: "firing", alerts }, clock.now()).alerts);
    for (let hour = 0; hour < 23; hour++) {
      clock.jump(60 * minute);
      await incidents.tick(clock.now());
    }
    assert.deepEqual(messages(), ["0:firing"]);
    clock.jump(60 * minute);
    await incidents.tick(clock.now());
    assert.equal(told.at(-1)?.message, "resolved");
  });

  it("are neither told again nor forgotten over a restart", async () => {
    await send(labels);
    clock.jump(minute);
    incidents = create();
    await incidents.restore();
    await send(labels);
    assert.deepEqual(messages(), ["0:firing"]);
    clock.jump(minute);
    await send(labels, { endsAt: iso(clock.now()) });
    assert.deepEqual(messages(), ["0:firing", "2:resolved"]);
    assert.equal(told[1]?.incident.id, told[0]?.incident.id);
  });

  it("are not over because we were away: their sender gets time to be heard", async () => {
    await send(labels);
    clock.jump(30 * minute);
    incidents = create();
    await incidents.restore();
    await incidents.tick(clock.now());
    clock.jump(minute);
    await send(labels);
    await incidents.tick(clock.now());
    assert.deepEqual(messages(), ["0:firing"]);
    incidents = create();
    await incidents.restore();
    clock.jump(5 * minute);
    await incidents.tick(clock.now());
    assert.deepEqual(messages(), ["0:firing", "36:resolved"]);
    assert.equal(told.at(-1)?.incident.endedAtMs, startMs + 35 * minute);
  });

  it("are two when one label differs, and one in whatever order labels come", async () => {
    await send(labels);
    await send({ ...labels, instance: "node-8:9100" });
    await send(Object.fromEntries(Object.entries(labels).toReversed()));
    assert.equal(incidents.list().length, 2);
    assert.equal(messages().length, 2);
    await send(labels, { endsAt: iso(clock.now()) });
    assert.deepEqual(
      incidents
        .list()
        .map(({ subject, status }) => `${subject.node.name} ${status}`)
        .toSorted(),
      ["node-7 resolved", "node-8 firing"],
    );
  });

  it("fire again within the cooldown without a second message, and after it with one", async () => {
    await send(labels);
    await send(labels, { endsAt: iso(clock.now()) });
    clock.jump(minute);
    startMs = clock.now() - minute;
    await send(labels);
    assert.deepEqual(messages(), ["0:firing", "0:resolved"]);
    clock.jump(4 * minute);
    await send(labels);
    assert.equal(told.at(-1)?.message, "firing");
  });

  it("stay acknowledged while they are sent again", async () => {
    repeat = "every";
    await send(labels);
    await incidents.acknowledge(incidents.list()[0]!.id, "ada");
    clock.jump(10 * minute);
    await send(labels);
    await send(labels, { endsAt: iso(clock.now()) });
    assert.deepEqual(messages(), ["0:firing"]);
  });

  it("are about the node the store knows by its name or address, else about a name", async () => {
    await backend.heartbeat({
      cluster: "lab",
      name: "node-7",
      ip: "10.0.0.7",
      version: "1",
      lastSeenMs: clock.now(),
    });
    for (const instance of ["node-7:1", "10.0.0.7:2", "10.0.0.1:3", "db.example:4", "node-1"])
      await send({ alertname: "A", instance });
    await send({ alertname: "A", node: "node-1", cluster: "west" });
    await send({ alertname: "A" });
    assert.deepEqual(
      told.map(({ incident: { subject } }) => Object.values(subject.node).join(" ")),
      [
        "lab node-7 10.0.0.7",
        "lab node-7 10.0.0.7",
        "lab node-1 10.0.0.1",
        "lab db.example ",
        "lab node-1 10.0.0.1",
        "west node-1 ",
        "lab node-1 10.0.0.1",
      ],
    );
  });

  it("are a thousand at most: those that are over are forgotten first, then the oldest", async () => {
    const flood = (from: number, count: number) => {
      const body = Array.from({ length: count }, (_, at) => ({
        labels: { alertname: `A${from + at}` },
      }));
      return take(readPosted(body, clock.now()).alerts);
    };
    await flood(0, 1_000);
    clock.jump(1_000);
    await send({ alertname: "A999" }, { startsAt: undefined, endsAt: iso(clock.now()) });
    await flood(1_000, 2);
    const names = new Set(incidents.list().map(({ subject }) => subject.rule));
    assert.equal(names.size, 1_000);
    assert.deepEqual(
      ["A999", "A0", "A1", "A1001"].map((name) => names.has(name)),
      [false, false, true, true],
    );
    assert.equal((await backend.states("lab/node-1").load()).size, 1_000);
  });
});
