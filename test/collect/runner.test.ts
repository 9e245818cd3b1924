import assert from "node:assert/strict";
import { type AnyCollector, defineCollector } from "../../src/collect/contract.ts";
import { createCollection, type Collection } from "../../src/collect/runner.ts";
import { AgentError } from "../../src/core/errors.ts";
import type { Reading } from "../../src/core/series.ts";
import { ManualClock, settle } from "../support/clock.ts";
import { createTestLog, recordedHost } from "./support.ts";

/** A collector whose next answer the test chooses; it also counts seconds between looks, as rates do. */
function createSource(
  name = "demo",
  defaultOn = true,
): {
  collector: AnyCollector;
  next: () => number | Promise<number>;
} {
  const source: { next: () => number | Promise<number> } = { next: () => 1 };
  const collector = defineCollector<number>({
    name,
    doc: "for tests",
    defaultOn,
    indexes: [
      { name, unit: "", decimals: 1, labels: [], help: "" },
      { name: `${name}_elapsed`, unit: "", decimals: 0, labels: [], help: "" },
    ],
    read: () => source.next(),
    readings: (now, before): Reading[] => [
      { index: name, labels: {}, value: now },
      ...(before === undefined
        ? []
        : [{ index: `${name}_elapsed`, labels: {}, value: before.elapsedSeconds }]),
    ],
    families: (now) => [
      { name: `node_${name}`, help: "h", type: "gauge", samples: [{ labels: {}, value: now }] },
    ],
  });
  return Object.assign(source, { collector });
}

/** A collector with as many labelled series as the test says. */
function createMany(name: string, labelled: () => readonly string[]): AnyCollector {
  return defineCollector<null>({
    name,
    doc: "for tests",
    defaultOn: true,
    indexes: [{ name, unit: "", decimals: 0, labels: ["mount"], help: "" }],
    read: () => null,
    readings: () => labelled().map((mount) => ({ index: name, labels: { mount }, value: 1 })),
    families: () => [],
  });
}

function broken(message = "gone"): never {
  throw new AgentError("PROC_UNREADABLE", message);
}

describe("collection", () => {
  let clock: ManualClock;
  let log: ReturnType<typeof createTestLog>;
  beforeEach(() => {
    clock = new ManualClock();
    log = createTestLog();
  });
  const collection = (...collectors: AnyCollector[]): Collection =>
    createCollection({ host: recordedHost("vm", clock), collectors, clock, log });
  const collect = async (one: Collection): Promise<Record<string, number | null>> =>
    Object.fromEntries((await one.collect(clock.now())).values);
  const events = (): string[] => log.lines.map(({ level, event }) => `${level} ${event}`);

  it("puts the readings of all collectors into the row of its slot", async () => {
    const row = await collection(createSource("a").collector, createSource("b").collector).collect(
      70_000,
    );
    assert.equal(row.slotMs, 70_000);
    assert.deepEqual(
      [...row.values],
      [
        ["a", 1],
        ["b", 1],
      ],
    );
  });

  it("rounds to the decimals of the index; what is no number is null", async () => {
    const source = createSource();
    const one = collection(source.collector);
    for (const [raw, stored] of [
      [12.345, 12.3],
      [99.96, 100],
      [-0.01, 0],
      [Number.NaN, null],
      [Infinity, null],
    ] as const) {
      source.next = () => raw;
      const value = (await collect(one))["demo"];
      assert.ok(Object.is(value, stored), `${raw} became ${value}`);
    }
  });

  it("hands each collector its look before, by the clock that never jumps", async () => {
    const one = collection(createSource().collector);
    assert.deepEqual(await collect(one), { demo: 1 });
    await clock.advance(10_000);
    clock.jump(3_600_000);
    assert.equal((await collect(one))["demo_elapsed"], 10);
    await clock.advance(5_000);
    await one.families();
    await clock.advance(5_000);
    assert.equal((await collect(one))["demo_elapsed"], 10, "a scrape in between changes nothing");
  });

  it("gives null for the series of a failing collector, and only for those", async () => {
    const source = createSource();
    const one = collection(source.collector, createSource("other").collector);
    await collect(one);
    source.next = () => broken();
    assert.deepEqual(await collect(one), { demo: null, other: 1, other_elapsed: 0 });
  });

  it("measures across a failed look", async () => {
    const source = createSource();
    const one = collection(source.collector);
    await collect(one);
    source.next = () => broken();
    await clock.advance(10_000);
    await collect(one);
    source.next = () => 2;
    await clock.advance(10_000);
    assert.deepEqual(await collect(one), { demo: 2, demo_elapsed: 20 });
  });

  it("warns once when a collector begins to fail and tells once that it works again", async () => {
    const source = createSource();
    const one = collection(source.collector);
    await collect(one);
    source.next = () => broken("stat is gone");
    await collect(one);
    await one.families();
    await collect(one);
    assert.deepEqual(log.lines, [
      {
        level: "warn",
        event: "collector failing",
        fields: { collector: "demo", error: "stat is gone" },
      },
    ]);
    assert.deepEqual(one.status(), [
      { name: "demo", success: false, durationSeconds: 0, lastError: "stat is gone" },
    ]);
    source.next = () => 1;
    await collect(one);
    await collect(one);
    assert.deepEqual(events(), ["warn collector failing", "info collector works again"]);
    assert.equal(one.status()[0]?.success, true);
  });

  it("costs only its own families when a collector fails", async () => {
    const source = createSource();
    source.next = () => broken();
    const families = await collection(source.collector, createSource("other").collector).families();
    assert.deepEqual(
      families.map(({ name }) => name),
      ["node_other"],
    );
  });

  it("gives up on a collector that hangs, and does not start it twice", async () => {
    const source = createSource();
    let reads = 0;
    let finish: (value: number) => void = () => undefined;
    source.next = () => {
      reads++;
      return new Promise((resolve) => {
        finish = resolve;
      });
    };
    const one = collection(source.collector, createSource("other").collector);
    const first = collect(one);
    await clock.advance(5_000);
    assert.deepEqual(await first, { other: 1 });
    assert.match(one.status()[0]?.lastError ?? "", /no answer in 5 s/);
    const second = collect(one);
    await clock.advance(5_000);
    await second;
    assert.equal(reads, 1);
    finish(7);
    await settle();
    source.next = () => 8;
    assert.equal((await collect(one))["demo"], 8);
    assert.equal(clock.waiting, 0, "no timer is left behind");
  });

  it("runs what is on by default until it is configured otherwise", async () => {
    const one = collection(createSource("on").collector, createSource("off", false).collector);
    assert.deepEqual(Object.keys(await collect(one)), ["on"]);
    one.configure({ on: false, off: true });
    assert.deepEqual(await collect(one), { off: 1 });
    assert.deepEqual(
      (await one.families()).map(({ name }) => name),
      ["node_off"],
    );
    assert.deepEqual(
      one.status().map(({ name }) => name),
      ["off"],
    );
    one.configure({});
    assert.deepEqual(await collect(one), { on: 1 }, "no look before is left from earlier");
    assert.deepEqual(
      one.definitions().map(({ name }) => name),
      ["on", "on_elapsed", "off", "off_elapsed"],
      "what a disabled collector stored can still be asked for",
    );
  });

  it("stores at most 200 series: those it has first, then unlabelled ones; the rest is counted", async () => {
    let mounts = Array.from({ length: 150 }, (_, i) => `/old${i}`);
    const one = collection(
      createMany("disk", () => mounts),
      createSource("late").collector,
    );
    await collect(one);
    assert.equal(one.refusedSeries(), 0);
    mounts = [...Array.from({ length: 100 }, (_, i) => `/new${i}`), ...mounts];
    const keys = Object.keys(await collect(one));
    assert.equal(keys.length, 200);
    assert.equal(keys.filter((key) => key.includes("/old")).length, 150);
    assert.ok(keys.includes("late") && keys.includes("late_elapsed"));
    assert.equal(one.refusedSeries(), 52);
    await collect(one);
    assert.deepEqual(
      log.lines.map(({ event, fields }) => [event, fields["refused"]]),
      [["series refused", 52]],
    );

    mounts = mounts.slice(0, 120);
    assert.equal(
      Object.keys(await collect(one)).length,
      122,
      "vanished series gave their places away",
    );
    assert.equal(one.refusedSeries(), 0);
    assert.deepEqual(events(), ["warn series refused", "info no series refused any more"]);
  });
});
