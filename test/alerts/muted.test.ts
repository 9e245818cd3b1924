import assert from "node:assert/strict";
import fc from "fast-check";
import type { AlertSubject, Transition } from "../../src/core/alert.ts";
import type { MessageTopic, Mute } from "../../src/core/mute.ts";
import type { StatePort } from "../../src/core/ports.ts";
import { levels, rank, type Level } from "../../src/core/rule.ts";
import type { Silence, SilenceMatchers, SilencePort } from "../../src/core/silence.ts";
import { decide, type DecideSettings } from "../../src/alerts/decide.ts";
import { holdBack } from "../../src/alerts/hold.ts";
import { Incidents } from "../../src/alerts/incidents.ts";
import type { Telling } from "../../src/alerts/telling.ts";
import { createMutes, type MuteSettings } from "../../src/alerts/mutes.ts";
import { parseRecord, type AlertRecord } from "../../src/alerts/record.ts";
import { Silences } from "../../src/alerts/silences.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { alertSubject } from "../support/alerts.ts";
import { ManualClock, settle } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

const minute = 60_000;
const node = { cluster: "c", name: "n", ip: "10.0.0.1" };
const subject = alertSubject();
const settings: DecideSettings = { cooldownMs: 5 * minute, repeat: "never", sendResolved: true };
const mute: Mute = { reason: "silenced", id: "s1" };

type Kind = Transition["kind"];
type Event = readonly [minute: number, kind: Kind, level?: Level];

function transition(kind: Kind, atMs: number, level: Level = "warning"): Transition {
  return { kind, subject, level, threshold: 80, value: 90, atMs, peak: 95, reason: null };
}

/** Plays events; those of which `muted` says so are held back. What was told, as "minute:message". */
function play(
  events: readonly Event[],
  muted: (atMinute: number) => boolean,
  custom: Partial<DecideSettings> = {},
): { told: string[]; record: AlertRecord | undefined } {
  let record: AlertRecord | undefined;
  const told: string[] = [];
  for (const [at, kind, level] of events) {
    const decided = decide(record, transition(kind, at * minute, level), {
      settings: { ...settings, ...custom },
      id: `i${at}`,
      foreign: false,
    });
    if (decided === null) continue;
    const decision = muted(at) ? holdBack(record, decided, mute) : decided;
    record = parseRecord(JSON.stringify(decision.record));
    if (decision.message !== null) told.push(`${at}:${decision.message}`);
    else if (decided.message !== null) assert.equal(decision.suppressed, "silenced");
  }
  return { told, record };
}

const until = (end: number) => (at: number) => at < end;
const between = (from: number, to: number) => (at: number) => at >= from && at < to;

describe("a message that is held back", () => {
  it("is told as soon as nothing holds it back, if it still fires", () => {
    const events: Event[] = [
      [0, "fired"],
      [1, "still"],
      [9, "still"],
      [10, "still"],
      [11, "still"],
      [12, "resolved"],
    ];
    assert.deepEqual(play(events, until(10)).told, ["10:firing", "12:resolved"]);
  });

  it("is not told when it recovers meanwhile, and neither is the recovery, then or later", () => {
    const events: Event[] = [
      [0, "fired"],
      [1, "resolved"],
      [20, "fired"],
    ];
    assert.deepEqual(play(events, until(10)).told, ["20:firing"]);
  });

  it("is not followed by a recovery nobody knows the firing of", () => {
    assert.deepEqual(
      play(
        [
          [0, "fired"],
          [10, "resolved"],
        ],
        until(10),
      ).told,
      [],
    );
  });

  it("may be a recovery of what was told before: nobody is told of it", () => {
    const { told, record } = play(
      [
        [0, "fired"],
        [6, "resolved"],
      ],
      between(5, 10),
    );
    assert.deepEqual(told, ["0:firing"]);
    assert.equal(record?.incident.status, "resolved");
    assert.equal(record?.incident.endedAtMs, 6 * minute);
  });

  it("is the same incident when it fires again within what would have been the cooldown", () => {
    const { told, record } = play(
      [
        [0, "fired"],
        [1, "resolved"],
        [2, "fired"],
        [3, "still"],
      ],
      until(3),
    );
    assert.deepEqual(told, ["3:firing"]);
    assert.equal(record?.incident.id, "i0");
    assert.equal(record?.incident.flaps, 1);
  });

  it("may be a higher level, told afterwards though the lower one is not repeated", () => {
    const events: Event[] = [
      [0, "fired"],
      [6, "escalated", "critical"],
      [7, "still", "critical"],
      [10, "still", "critical"],
      [11, "still", "critical"],
    ];
    assert.deepEqual(play(events, between(5, 10)).told, ["0:firing", "10:escalated"]);
  });

  it("is no higher level any more once that is over", () => {
    const events: Event[] = [
      [0, "fired"],
      [6, "escalated", "critical"],
      [7, "deescalated"],
      [10, "still"],
      [30, "still"],
    ];
    assert.deepEqual(play(events, between(5, 10)).told, ["0:firing"]);
    const fromInfo: Event[] = [
      [0, "fired", "info"],
      [6, "escalated", "critical"],
      [7, "deescalated", "warning"],
      [10, "still", "warning"],
    ];
    assert.deepEqual(play(fromInfo, between(5, 10)).told, ["0:firing", "10:escalated"]);
  });

  it("is repeated afterwards, not as often as it was held back", () => {
    const events = Array.from({ length: 30 }, (_, at): Event => [at, at === 0 ? "fired" : "still"]);
    assert.deepEqual(play(events, between(3, 20), { repeat: "every" }).told, [
      "0:firing",
      "20:repeated",
      "25:repeated",
    ]);
  });

  it("leaves what flaps to be judged anew, not to be waited for", () => {
    const events: Event[] = [
      [0, "fired"],
      [1, "resolved"],
      [2, "fired"],
      [3, "resolved"],
      [4, "fired"],
      [5, "still"],
    ];
    assert.deepEqual(play(events, until(5)).told, ["5:firing"]);
  });

  it("is not owed to who has acknowledged it meanwhile", () => {
    const { record } = play([[0, "fired"]], until(5));
    assert.ok(record !== undefined);
    const seen = { ...record, incident: { ...record.incident, acknowledgedBy: "ada" } };
    const after = decide(seen, transition("still", 6 * minute), {
      settings,
      id: "x",
      foreign: false,
    });
    assert.equal(after?.suppressed, "acknowledged");
  });
});

describe("messages held back, whatever happens", () => {
  const kinds = fc.array(
    fc.record({
      fires: fc.boolean(),
      level: fc.constantFrom(...levels),
      gap: fc.integer({ min: 1, max: 12 }),
    }),
    { maxLength: 30 },
  );
  /** Events as an engine would make them of a value that comes and goes. */
  const eventsOf = (steps: readonly { fires: boolean; level: Level; gap: number }[]): Event[] => {
    let before: Level | null = null;
    let at = 0;
    return steps.flatMap(({ fires, level, gap }): Event[] => {
      at += gap;
      const was = before;
      before = fires ? level : null;
      if (was === null) return fires ? [[at, "fired", level]] : [];
      if (!fires) return [[at, "resolved", was]];
      if (was === level) return [[at, "still", level]];
      return [[at, rank(level) > rank(was) ? "escalated" : "deescalated", level]];
    });
  };
  const repeat = fc.constantFrom("every" as const, "backoff" as const, "never" as const);

  it("tells nothing while all is held back", () => {
    fc.assert(
      fc.property(kinds, repeat, (steps, repeat) => {
        assert.deepEqual(play(eventsOf(steps), () => true, { repeat }).told, []);
      }),
    );
  });

  it("tells what still fires with the first sample after", () => {
    fc.assert(
      fc.property(kinds, repeat, (steps, repeat) => {
        const events = eventsOf(steps);
        const [last, , level = "warning"] = events.at(-1) ?? [0];
        const { record } = play(events, () => true, { repeat });
        if (record?.incident.status !== "firing") return;
        const after = play([...events, [last + 1, "still", level]], until(last + 1), { repeat });
        assert.deepEqual(after.told, [`${last + 1}:firing`]);
      }),
    );
  });

  it("tells no recovery that no firing came before", () => {
    fc.assert(
      fc.property(kinds, fc.nat(100), fc.nat(100), (steps, from, length) => {
        const { told } = play(eventsOf(steps), between(from, from + length));
        const words = told.map((text) => text.split(":")[1]);
        let open = 0;
        for (const word of words) {
          if (word === "resolved") assert.ok(open-- > 0, told.join(" "));
          else open = 1;
        }
      }),
    );
  });

  it("is as if nothing held back where nothing does", () => {
    fc.assert(
      fc.property(kinds, repeat, (steps, repeat) => {
        const events = eventsOf(steps);
        const { record } = play(events, () => false, { repeat });
        assert.equal(record?.heldLevel ?? null, null);
      }),
    );
  });
});

describe("incidents that are silenced", () => {
  let clock: ManualClock;
  let port: StatePort;
  let told: Telling[];
  let silences: Silences;
  let asked: number;
  let hang: Promise<void> | null;
  let failure: Error | null;
  let shared: SilencePort;
  let saved: readonly Silence[];
  let muteSettings: MuteSettings;

  const open = (): Silences =>
    new Silences({
      port: {
        put: (silence) => shared.put(silence),
        list: async () => {
          asked++;
          if (hang !== null) await hang;
          if (failure !== null) throw failure;
          return shared.list();
        },
      },
      saved: {
        load: async () => saved,
        save: async (silences) => {
          saved = silences;
        },
      },
      clock,
      log: recordLog().log,
    });
  const create = (): Incidents => {
    let ids = 0;
    return new Incidents({
      clock,
      port,
      log: recordLog().log,
      settings: () => ({ cooldownMs: 5 * minute, repeat: "backoff", sendResolved: true }),
      newId: () => `id-${clock.now()}-${++ids}`,
      mutes: createMutes({ silences, settings: () => muteSettings, clock }),
      tell: async (telling) => {
        told.push(telling);
      },
    });
  };
  const at = (kind: Kind, changes: Partial<AlertSubject> = {}): Transition => {
    const { rule = "hot", index = "cpu" } = changes;
    const about = { ...subject, key: `${rule}|${index}`, ...changes };
    return { ...transition(kind, clock.now()), subject: about };
  };
  const silence = (
    id: string,
    matchers: Partial<SilenceMatchers>,
    lengthMs = 60 * minute,
  ): Silence => ({
    id,
    matchers: {
      node: null,
      cluster: null,
      rule: null,
      index: null,
      level: null,
      labels: {},
      ...matchers,
    },
    startsAtMs: clock.now(),
    endsAtMs: clock.now() + lengthMs,
    createdAtMs: clock.now(),
    author: "ada",
    comment: "",
  });
  const words = (): string[] =>
    told.map(({ message, record, incident }) => {
      return `${incident.subject.rule} ${message ?? "-"}/${record ?? "-"}`;
    });

  beforeEach(() => {
    clock = new ManualClock();
    const backend = createMemoryBackend({ clock });
    port = backend.states("c/n");
    shared = backend.silences;
    told = [];
    asked = 0;
    hang = null;
    failure = null;
    saved = [];
    muteSettings = { quietHours: [], inhibit: [] };
    silences = open();
  });

  it("are recorded, and told when the silence is over and they still fire", async () => {
    // Made by another agent: this one does not know of it yet.
    await shared.put(silence("s1", { rule: ["hot"] }, 10 * minute));
    const incidents = create();
    await incidents.handle([at("fired"), at("fired", { rule: "other" })]);
    assert.deepEqual(words(), ["hot -/firing", "other firing/firing"]);
    const hot = incidents.list().find(({ subject }) => subject.rule === "hot");
    assert.ok(hot !== undefined);
    assert.deepEqual(incidents.muteOf(hot), { reason: "silenced", id: "s1" });
    await clock.advance(10 * minute);
    assert.equal(incidents.muteOf(hot), null);
    await incidents.handle([at("still")]);
    assert.deepEqual(words().slice(2), ["hot firing/-"]);
  });

  it("ask the store only when they are about to tell something, and while silenced once a minute", async () => {
    const incidents = create();
    await incidents.handle([at("resolved")]);
    assert.equal(asked, 0);
    await shared.put(silence("s1", { rule: ["hot"] }));
    await incidents.handle([at("fired")]);
    assert.equal(asked, 1);
    for (let sample = 1; sample <= 12; sample++) {
      await clock.advance(10_000);
      await incidents.handle([at("still")]);
    }
    assert.equal(asked, 3);
    assert.deepEqual(words(), ["hot -/firing"]);
  });

  it("are told within a minute of a silence that somebody else has ended", async () => {
    await shared.put(silence("s1", { rule: ["hot"] }));
    const incidents = create();
    await incidents.handle([at("fired")]);
    const other = open();
    await other.end("s1");
    await clock.advance(minute);
    await incidents.handle([at("still")]);
    assert.deepEqual(words(), ["hot -/firing", "hot firing/-"]);
  });

  it("are judged by what is known while the store is away, over a restart too", async () => {
    await silences.put(silence("s1", { rule: ["hot"] }));
    failure = new Error("away");
    const incidents = create();
    await incidents.handle([at("fired")]);
    assert.equal(saved.length, 1);
    silences = open();
    await silences.restore();
    await create().handle([at("fired", { key: "hot|load", index: "load" })]);
    assert.deepEqual(words(), ["hot -/firing", "hot -/firing"]);
  });

  it("are not held up by a store that hangs for longer than a moment", async () => {
    const blocked = Promise.withResolvers<undefined>();
    hang = blocked.promise;
    const telling = create().handle([at("fired")]);
    await settle();
    await clock.advance(299);
    assert.deepEqual(words(), []);
    await clock.advance(1);
    await telling;
    assert.deepEqual(words(), ["hot firing/firing"]);
    blocked.resolve(undefined);
    await settle();
    assert.equal(clock.waiting, 0);
  });

  it("hold back an alert of somebody else's, and say by which silence", async () => {
    await shared.put(silence("s1", { node: ["c/*"] }, 10 * minute));
    const incidents = create();
    const first = await incidents.accept(at("fired", { key: "api|x" }), clock.now());
    assert.deepEqual([first.suppressed, first.mute?.id], ["silenced", "s1"]);
    await clock.advance(10 * minute);
    const second = await incidents.accept(at("fired", { key: "api|x" }), clock.now());
    assert.equal(second.suppressed, null);
  });

  it("are quiet in quiet hours without asking the store", async () => {
    muteSettings = {
      inhibit: [],
      quietHours: [
        {
          name: "noon",
          days: ["mon"],
          fromMinute: 720,
          toMinute: 780,
          timezone: "UTC",
          levels: ["warning"],
          rules: null,
          nodes: null,
        },
      ],
    };
    const incidents = create();
    await incidents.handle([at("fired")]);
    await clock.advance(10_000);
    await incidents.handle([at("still")]);
    await incidents.handle([{ ...at("escalated"), level: "critical" }]);
    assert.deepEqual(words(), ["hot -/firing", "hot escalated/escalated"]);
    assert.equal(asked, 1);
  });

  it("are inhibited by one of the same node, which is decided first and never mutes itself", async () => {
    muteSettings = { quietHours: [], inhibit: [{ when: "node-down", mutes: ["*"] }] };
    const incidents = create();
    const elsewhere = { ...node, name: "m" };
    await incidents.handle([
      at("fired"),
      at("fired", { rule: "far", node: elsewhere }),
      at("fired", { rule: "node-down" }),
    ]);
    assert.deepEqual(words(), ["node-down firing/firing", "hot -/firing", "far firing/firing"]);
    const hot = incidents.list().find(({ subject }) => subject.rule === "hot");
    assert.ok(hot !== undefined);
    const mute = { reason: "inhibited", id: told[0]?.incident.id };
    assert.deepEqual(incidents.muteOf(hot), mute);
    await clock.advance(minute);
    await incidents.handle([at("resolved", { rule: "node-down" }), at("still")]);
    assert.deepEqual(words().slice(3), ["node-down resolved/resolved", "hot firing/-"]);
  });

  it("are inhibited by an alert of somebody else's", async () => {
    muteSettings = { quietHours: [], inhibit: [{ when: "api-down", mutes: ["hot"] }] };
    const incidents = create();
    await incidents.accept(at("fired", { rule: "api-down" }), clock.now());
    await incidents.handle([at("fired")]);
    assert.deepEqual(words(), ["api-down firing/firing", "hot -/firing"]);
  });

  it("end with a silence that is ended here at once; ending one twice changes nothing", async () => {
    await silences.put(silence("s1", { rule: ["hot"] }));
    const topic: MessageTopic = { subject, level: "warning" };
    const mutes = createMutes({ silences, settings: () => muteSettings, clock });
    assert.equal(mutes.of(topic, [])?.id, "s1");
    const ended = await silences.end("s1");
    assert.equal(ended?.endsAtMs, clock.now());
    assert.equal(mutes.of(topic, []), null);
    await clock.advance(minute);
    assert.deepEqual(await silences.end("s1"), ended);
    assert.equal(await silences.end("nothing"), null);
  });
});
