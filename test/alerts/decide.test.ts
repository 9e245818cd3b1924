import assert from "node:assert/strict";
import fc from "fast-check";
import type { MessageKind, Transition } from "../../src/core/alert.ts";
import type { Repeat } from "../../src/core/policy.ts";
import { levels, rank, type Level } from "../../src/core/rule.ts";
import { decide, settleFlapping, type DecideSettings } from "../../src/alerts/decide.ts";
import { parseRecord, type AlertRecord } from "../../src/alerts/record.ts";
import { okState, step } from "../../src/rules/step.ts";
import { parseRule } from "../../src/rules/schema.ts";
import { alertSubject } from "../support/alerts.ts";

const minute = 60_000;
const subject = alertSubject({ key: "cpu>warning|cpu", rule: "cpu>warning" });
const settings: DecideSettings = { cooldownMs: 5 * minute, repeat: "backoff", sendResolved: true };

type Kind = Transition["kind"];

function transition(kind: Kind, atMs: number, level: Level = "warning"): Transition {
  return { kind, subject, level, threshold: 80, value: 90, atMs, peak: 95, reason: null };
}

/** Plays transitions at minutes; what was told, as "minute:message". */
function play(
  events: readonly (readonly [number, Kind, Level?])[],
  custom: Partial<DecideSettings> = {},
): { told: string[]; record: AlertRecord | undefined } {
  let record: AlertRecord | undefined;
  let ids = 0;
  const told: string[] = [];
  for (const [at, kind, level] of events) {
    const decision = decide(record, transition(kind, at * minute, level), {
      settings: { ...settings, ...custom },
      id: `i${++ids}`,
      foreign: false,
    });
    if (decision === null) continue;
    ({ record } = decision);
    if (decision.message !== null) told.push(`${at}:${decision.message}`);
  }
  return { told, record };
}

describe("decide", () => {
  it("tells a firing and its recovery", () => {
    assert.deepEqual(
      play([
        [0, "fired"],
        [2, "resolved"],
      ]).told,
      ["0:firing", "2:resolved"],
    );
  });

  it("tells no second firing within the cooldown: the same incident, a flap counted, no second recovery", () => {
    const { told, record } = play([
      [0, "fired"],
      [1, "resolved"],
      [2, "fired"],
    ]);
    assert.deepEqual(told, ["0:firing", "1:resolved"]);
    assert.equal(record?.incident.id, "i1");
    assert.equal(record?.incident.flaps, 1);
    assert.equal(record?.incident.status, "firing");
  });

  it("begins another incident after the cooldown", () => {
    const { told, record } = play([
      [0, "fired"],
      [1, "resolved"],
      [5, "fired"],
    ]);
    assert.deepEqual(told, ["0:firing", "1:resolved", "5:firing"]);
    assert.equal(record?.incident.id, "i3");
  });

  it("tells that it fires again when the cooldown is over and it still does, even if it is never repeated", () => {
    const events = [
      [0, "fired"],
      [1, "resolved"],
      [2, "fired"],
      [3, "still"],
      [5, "still"],
      [6, "still"],
      [60, "still"],
      [61, "resolved"],
    ] as const;
    assert.deepEqual(play(events, { repeat: "never" }).told, [
      "0:firing",
      "1:resolved",
      "5:firing",
      "61:resolved",
    ]);
  });

  it("lets a higher level break the cooldown, once", () => {
    const events = [
      [0, "fired", "warning"],
      [1, "escalated", "critical"],
      [2, "deescalated", "warning"],
      [3, "escalated", "critical"],
    ] as const;
    assert.deepEqual(play(events).told, ["0:firing", "1:escalated"]);
  });

  it("lets a higher level pass when it fires again within the cooldown", () => {
    assert.deepEqual(
      play([
        [0, "fired", "warning"],
        [1, "resolved", "warning"],
        [2, "fired", "critical"],
      ]).told,
      ["0:firing", "1:resolved", "2:firing"],
    );
  });

  const minutes = (last: number): (readonly [number, Kind])[] => [
    [0, "fired"],
    ...Array.from({ length: last }, (_, at) => [at + 1, "still"] as const),
  ];

  it("repeats with every cooldown", () => {
    assert.deepEqual(play(minutes(16), { repeat: "every" }).told, [
      "0:firing",
      "5:repeated",
      "10:repeated",
      "15:repeated",
    ]);
  });

  it("repeats at doubling distances up to four hours", () => {
    assert.deepEqual(
      play(minutes(1_000)).told.map((text) => Number(text.split(":")[0])),
      [0, 5, 15, 35, 75, 155, 315, 555, 795],
    );
  });

  it("never repeats when told so", () => {
    assert.deepEqual(play(minutes(1_000), { repeat: "never" }).told, ["0:firing"]);
  });

  it("does not repeat with every sample when there is no cooldown", () => {
    const quick = [
      [0, "fired"],
      [0.2, "still"],
      [0.4, "still"],
      [1, "still"],
    ] as const;
    assert.deepEqual(play(quick, { cooldownMs: 0, repeat: "every" }).told, [
      "0:firing",
      "1:repeated",
    ]);
  });

  it("says once that it flaps, then nothing until a quarter of an hour is stable", () => {
    const events = [
      [0, "fired"],
      [1, "resolved"],
      [2, "fired"],
      [3, "resolved"],
      [4, "fired"],
      [9, "still"],
      [10, "resolved"],
      [12, "fired"],
      [13, "resolved"],
    ] as const;
    const { told, record } = play(events);
    assert.deepEqual(told, ["0:firing", "1:resolved", "3:flapping"]);
    assert.ok(record !== undefined);
    assert.equal(settleFlapping(record, 27 * minute, settings), null);
    const calm = settleFlapping(record, 28 * minute, settings);
    assert.equal(calm?.message, "resolved");
    assert.equal(calm?.record.incident.flapping, false);
  });

  it("lets a higher level pass while it flaps", () => {
    const events = [
      [0, "fired"],
      [1, "resolved"],
      [2, "fired"],
      [3, "resolved"],
      [4, "fired", "critical"],
      [4.5, "resolved", "critical"],
      [5, "fired", "critical"],
    ] as const;
    assert.deepEqual(play(events).told, ["0:firing", "1:resolved", "3:flapping", "4:firing"]);
  });

  it("sends nothing about an acknowledged incident until it escalates", () => {
    const { record } = play([[0, "fired"]]);
    assert.ok(record !== undefined);
    const acknowledged = { ...record, incident: { ...record.incident, acknowledgedBy: "ada" } };
    const context = { settings, id: "x", foreign: false };
    assert.equal(decide(acknowledged, transition("still", 60 * minute), context)?.message, null);
    assert.equal(decide(acknowledged, transition("resolved", 60 * minute), context)?.message, null);
    const escalated = decide(
      acknowledged,
      transition("escalated", 60 * minute, "critical"),
      context,
    );
    assert.equal(escalated?.message, "escalated");
    assert.equal(escalated?.record.incident.acknowledgedBy, null);
  });

  it("keeps recoveries to itself when they are not wanted", () => {
    assert.deepEqual(
      play(
        [
          [0, "fired"],
          [1, "resolved"],
        ],
        { sendResolved: false },
      ).told,
      ["0:firing"],
    );
  });

  it("knows nothing to tell about the end of what never began", () => {
    assert.equal(
      decide(undefined, transition("resolved", 0), { settings, id: "x", foreign: false }),
      null,
    );
  });

  it("tells of a firing whose incident was lost", () => {
    assert.equal(
      decide(undefined, transition("still", 0), { settings, id: "x", foreign: false })?.message,
      "firing",
    );
  });

  it("goes on from a saved record", () => {
    const { record } = play([
      [0, "fired"],
      [1, "escalated", "critical"],
    ]);
    assert.ok(record !== undefined);
    assert.deepEqual(parseRecord(JSON.stringify(record)), record);
    const { incident } = record;
    const reported = {
      ...record,
      untilMs: 7 * minute,
      incident: {
        ...incident,
        subject: { ...subject, operator: null, sourceUrl: "http://prometheus.example/graph" },
        threshold: null,
        value: null,
        peak: null,
      },
    };
    assert.deepEqual(parseRecord(JSON.stringify(reported)), reported);
    for (const saved of [
      "",
      "{}",
      "[]",
      JSON.stringify({ ...record, incident: { ...record.incident, level: "red" } }),
    ])
      assert.throws(() => parseRecord(saved));
  });
});

interface Told {
  readonly atMs: number;
  readonly message: MessageKind;
  readonly level: Level;
}

/** Samples through `step` and `decide`, with restarts from what was saved. */
function simulate(
  values: readonly (number | null)[],
  custom: DecideSettings,
  restarts: ReadonlySet<number>,
): { told: Told[]; fires: number; escalations: { atMs: number; level: Level }[] } {
  const parsed = parseRule({ index: "cpu", levels: { warning: 60, critical: 80 }, clear: 55 }, "");
  assert.ok(parsed.ok);
  let state = okState;
  let record: AlertRecord | undefined;
  let fires = 0;
  const told: Told[] = [];
  const escalations: { atMs: number; level: Level }[] = [];
  values.forEach((value, at) => {
    const nowMs = at * 30_000;
    if (restarts.has(at) && record !== undefined) record = parseRecord(JSON.stringify(record));
    const stepped = step(state, parsed.value, { value, nowMs, maxGapMs: minute });
    state = stepped.state;
    const calm = record === undefined ? null : settleFlapping(record, nowMs, custom);
    if (calm !== null) {
      ({ record } = calm);
      if (calm.message !== null)
        told.push({ atMs: nowMs, message: calm.message, level: record.incident.level });
    }
    if (stepped.transition === null) return;
    const { kind, level } = stepped.transition;
    if (kind === "fired") fires += 1;
    if (kind === "fired" || kind === "escalated") escalations.push({ atMs: nowMs, level });
    const decision = decide(record, transition(kind, nowMs, level), {
      settings: custom,
      id: `i${at}`,
      foreign: false,
    });
    if (decision === null) return;
    ({ record } = decision);
    if (decision.message !== null) told.push({ atMs: nowMs, message: decision.message, level });
  });
  return { told, fires, escalations };
}

const anySettings: fc.Arbitrary<DecideSettings> = fc.record({
  cooldownMs: fc.constantFrom(2 * minute, 5 * minute, 20 * minute),
  repeat: fc.constantFrom<Repeat>("every", "backoff", "never"),
  sendResolved: fc.boolean(),
});
const anySamples = fc.array(
  fc.option(fc.constantFrom(10, 50, 57, 65, 65, 70, 85, 90), { freq: 8 }),
  { minLength: 1, maxLength: 300 },
);
const anyRestarts = fc.array(fc.nat(300)).map((list) => new Set(list));
const saysItFires = (message: MessageKind): boolean =>
  message !== "resolved" && message !== "flapping";

describe("decide, whatever the samples and restarts", () => {
  it("sends no second message about the same alert and level within a cooldown", () => {
    fc.assert(
      fc.property(anySamples, anySettings, anyRestarts, (values, custom, restarts) => {
        const firing = simulate(values, custom, restarts).told.filter(({ message }) =>
          saysItFires(message),
        );
        for (const level of levels) {
          const times = firing.filter((one) => one.level === level).map(({ atMs }) => atMs);
          times.slice(1).forEach((atMs, at) => assert.ok(atMs - times[at]! >= custom.cooldownMs));
        }
      }),
    );
  });

  it("tells at most one recovery for each firing that was told", () => {
    fc.assert(
      fc.property(anySamples, anySettings, anyRestarts, (values, custom, restarts) => {
        const { told, fires } = simulate(values, custom, restarts);
        let open = false;
        for (const { message } of told) {
          if (message === "resolved") assert.ok(open, "a recovery nobody was waiting for");
          open = message !== "resolved";
        }
        assert.ok(told.filter(({ message }) => message === "resolved").length <= fires);
        if (!custom.sendResolved) assert.ok(told.every(({ message }) => message !== "resolved"));
      }),
    );
  });

  it("lets a level pass at once that is higher than all told within the cooldown", () => {
    fc.assert(
      fc.property(anySamples, anySettings, anyRestarts, (values, custom, restarts) => {
        const { told, escalations } = simulate(values, custom, restarts);
        for (const { atMs, level } of escalations) {
          const before = told.filter((one) => one.atMs < atMs && one.message !== "resolved");
          const flapping = told.some(({ message }) => message === "flapping");
          const covered = before.some(
            (one) =>
              rank(one.level) >= rank(level) && (flapping || atMs - one.atMs < custom.cooldownMs),
          );
          if (!covered)
            assert.ok(
              told.some((one) => one.atMs === atMs && one.level === level),
              `nothing told at ${atMs}`,
            );
        }
      }),
    );
  });
});
