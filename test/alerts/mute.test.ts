import assert from "node:assert/strict";
import fc from "fast-check";
import type { AlertSubject, Incident } from "../../src/core/alert.ts";
import { weekdays, type MessageTopic, type QuietHours } from "../../src/core/mute.ts";
import { globMatches, levels } from "../../src/core/rule.ts";
import { silenceState, type Silence, type SilenceMatchers } from "../../src/core/silence.ts";
import {
  inhibitorOf,
  isQuiet,
  isQuietTime,
  isSilenced,
  muteOf,
  wallClock,
} from "../../src/alerts/mute.ts";
import { incident, noonMs } from "../support/view.ts";

const minute = 60_000;
const hour = 60 * minute;

function topic(changes: Partial<AlertSubject> = {}, level: MessageTopic["level"] = "warning") {
  return { subject: { ...incident().subject, ...changes }, level };
}

const anything: SilenceMatchers = {
  node: null,
  cluster: null,
  rule: null,
  index: null,
  level: null,
  labels: {},
};

function silence(matchers: Partial<SilenceMatchers>, changes: Partial<Silence> = {}): Silence {
  return {
    id: "s1",
    matchers: { ...anything, ...matchers },
    startsAtMs: noonMs,
    endsAtMs: noonMs + hour,
    createdAtMs: noonMs,
    author: "ada",
    comment: "",
    ...changes,
  };
}

function quiet(changes: Partial<QuietHours> = {}): QuietHours {
  return {
    name: "nights",
    days: weekdays,
    fromMinute: 22 * 60,
    toMinute: 7 * 60,
    timezone: "UTC",
    levels: ["info", "warning"],
    rules: null,
    nodes: null,
    ...changes,
  };
}

function open(rule: string, name = "node-1"): Incident {
  const one = incident({ id: `open-${rule}`, rule });
  return { ...one, subject: { ...one.subject, node: { cluster: "east", name, ip: "" } } };
}

describe("a silence", () => {
  const about = topic({ labels: { mount: "/data/a" } });
  const holds = (matchers: Partial<SilenceMatchers>): boolean =>
    isSilenced(silence(matchers), about, noonMs);

  it("is about what all its matchers fit", () => {
    assert.ok(holds({ node: ["web-*", "node-*"] }));
    assert.ok(holds({ node: ["east/*"], cluster: ["e*t"], rule: ["cpu*"], index: ["cpu"] }));
    assert.ok(holds({ labels: { mount: "/data*" } }));
    assert.ok(holds({ level: ["warning"] }));
    assert.ok(!holds({ node: ["node-*"], rule: ["disk"] }));
    assert.ok(!holds({ level: ["critical"] }));
    assert.ok(!holds({ cluster: ["node-1"] }));
  });

  it("is not about a series without the label, whatever the pattern", () => {
    assert.ok(!holds({ labels: { interface: "*" } }));
    assert.ok(!holds({ labels: { toString: "*" } }));
  });

  it("holds from its beginning until before its end", () => {
    const at = (ms: number): boolean => isSilenced(silence({ rule: ["*"] }), about, ms);
    assert.deepEqual([noonMs - 1, noonMs, noonMs + hour - 1, noonMs + hour].map(at), [
      false,
      true,
      true,
      false,
    ]);
  });

  it("never is in two states, and holds only while active", () => {
    fc.assert(
      fc.property(fc.nat(1_000), fc.nat(1_000), fc.nat(2_500), (start, length, at) => {
        const one = silence({ rule: ["*"] }, { startsAtMs: start, endsAtMs: start + length });
        const state = silenceState(one, at);
        assert.equal(isSilenced(one, about, at), state === "active");
        assert.equal(state === "pending", at < start && at < start + length);
      }),
    );
  });

  it("never is about more when one more matcher is added", () => {
    const pattern = fc.constantFrom("*", "cpu*", "node-1", "east/*", "nothing");
    const part = fc.option(fc.array(pattern, { minLength: 1, maxLength: 2 }));
    const matchers = fc.record({ node: part, cluster: part, rule: part, index: part });
    fc.assert(
      fc.property(
        matchers,
        fc.constantFrom("node", "rule", "index"),
        pattern,
        (some, key, more) => {
          const wider = silence({ ...some, [key]: null });
          const narrower = silence({ ...some, [key]: [more] });
          if (isSilenced(narrower, about, noonMs)) assert.ok(isSilenced(wider, about, noonMs));
        },
      ),
    );
  });
});

describe("a pattern", () => {
  it("means what the regular expression means that it stands for", () => {
    const text = fc.string({ unit: fc.constantFrom("a", "b", ".", "\n", "*"), maxLength: 12 });
    fc.assert(
      fc.property(text, text, (pattern, tried) => {
        const source = pattern.split("*").map((part) => part.replaceAll(".", "\\."));
        assert.equal(
          globMatches(pattern, tried),
          new RegExp(`^${source.join(".*")}$`, "su").test(tried),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes no time that matters, however many stars it has", () => {
    const started = performance.now();
    assert.equal(globMatches("*a".repeat(90) + "b", "a".repeat(1_000)), false);
    assert.ok(performance.now() - started < 100);
  });
});

describe("quiet hours", () => {
  const at = (iso: string, hours = quiet()): boolean => isQuietTime(hours, Date.parse(iso));

  it("go over midnight", () => {
    assert.ok(!at("2026-01-05T21:59:59Z"));
    assert.ok(at("2026-01-05T22:00:00Z"));
    assert.ok(at("2026-01-06T00:00:00Z"));
    assert.ok(at("2026-01-06T06:59:59Z"));
    assert.ok(!at("2026-01-06T07:00:00Z"));
  });

  it("belong to the day on which they begin", () => {
    const fridays = quiet({ days: ["fri"] });
    assert.ok(at("2026-01-09T23:00:00Z", fridays), "friday night");
    assert.ok(at("2026-01-10T06:00:00Z", fridays), "saturday morning");
    assert.ok(!at("2026-01-09T06:00:00Z", fridays), "friday morning");
    assert.ok(!at("2026-01-10T23:00:00Z", fridays), "saturday night");
    const sundays = quiet({ days: ["sun"] });
    assert.ok(at("2026-01-05T06:00:00Z", sundays), "monday morning");
  });

  it("may be whole days, and hours of a day", () => {
    const sunday = quiet({ days: ["sun"], fromMinute: 0, toMinute: 1_440 });
    assert.ok(at("2026-01-04T00:00:00Z", sunday) && at("2026-01-04T23:59:59Z", sunday));
    assert.ok(!at("2026-01-05T00:00:00Z", sunday) && !at("2026-01-03T23:59:59Z", sunday));
    const lunch = quiet({ fromMinute: 12 * 60, toMinute: 13 * 60 });
    assert.ok(at("2026-01-05T12:30:00Z", lunch) && !at("2026-01-05T13:00:00Z", lunch));
  });

  it("go by the clocks of their time zone, in summer and in winter", () => {
    const shanghai = quiet({ timezone: "Asia/Shanghai" });
    assert.ok(at("2026-01-05T14:00:00Z", shanghai) && !at("2026-01-05T23:00:00Z", shanghai));
    const berlin = quiet({ timezone: "Europe/Berlin" });
    assert.ok(!at("2026-03-28T20:30:00Z", berlin), "21:30 the night before");
    assert.ok(at("2026-03-28T21:00:00Z", berlin), "22:00 in winter");
    assert.ok(
      at("2026-03-29T04:59:59Z", berlin),
      "06:59 in summer, an hour earlier than in winter",
    );
    assert.ok(!at("2026-03-29T05:00:00Z", berlin));
    assert.ok(at("2026-10-25T05:59:59Z", berlin), "06:59 in winter again");
    assert.ok(!at("2026-10-25T06:00:00Z", berlin));
  });

  it("last as long as they say on all days on which no clock is changed", () => {
    const time = fc.integer({ min: 0, max: 1_439 });
    fc.assert(
      fc.property(time, time, fc.subarray([...weekdays]), (fromMinute, toMinute, days) => {
        fc.pre(fromMinute !== toMinute);
        const hours = quiet({ fromMinute, toMinute, days });
        let minutes = 0;
        for (let step = 0; step < 7 * 96; step++)
          if (isQuietTime(hours, noonMs + step * 15 * minute)) minutes += 15;
        const each = (toMinute - fromMinute + 1_440) % 1_440;
        // Looked at in quarters of an hour.
        assert.ok(Math.abs(minutes - each * days.length) < 15 * Math.max(1, days.length));
      }),
      { numRuns: 25 },
    );
  });

  it("are about their levels, rules and nodes", () => {
    const night = Date.parse("2026-01-05T23:00:00Z");
    assert.ok(isQuiet(quiet(), topic(), night));
    assert.ok(!isQuiet(quiet(), topic({}, "critical"), night));
    assert.ok(isQuiet(quiet({ levels: ["critical"] }), topic({}, "critical"), night));
    assert.ok(isQuiet(quiet({ rules: ["cpu*"], nodes: ["east/*"] }), topic(), night));
    assert.ok(!isQuiet(quiet({ rules: ["disk"] }), topic(), night));
    assert.ok(!isQuiet(quiet({ nodes: ["web-*"] }), topic(), night));
  });

  it("know what the clocks show", () => {
    assert.deepEqual(wallClock("UTC", Date.parse("2026-01-05T00:00:00Z")), { day: 0, minute: 0 });
    assert.deepEqual(wallClock("Asia/Kolkata", Date.parse("2026-01-04T18:30:00Z")), {
      day: 0,
      minute: 0,
    });
  });
});

describe("inhibition", () => {
  const entry = { when: "node-down", mutes: ["*"] };

  it("mutes others of the same node", () => {
    assert.equal(inhibitorOf(entry, topic(), [open("node-down")])?.id, "open-node-down");
    assert.equal(inhibitorOf(entry, topic(), [open("node-down", "node-2")]), undefined);
    assert.equal(inhibitorOf(entry, topic(), [open("node-slow")]), undefined);
    assert.equal(
      inhibitorOf({ ...entry, mutes: ["disk*"] }, topic(), [open("node-down")]),
      undefined,
    );
  });

  it("never mutes itself, whatever the patterns", () => {
    const pattern = fc.constantFrom("*", "a*", "*b", "ab", "b", "a");
    fc.assert(
      fc.property(pattern, pattern, fc.constantFrom("a", "b", "ab"), (when, mutes, rule) => {
        const others = ["a", "b", "ab"].map((name) => open(name));
        const found = inhibitorOf({ when, mutes: [mutes] }, topic({ rule }), others);
        if (found !== undefined) {
          assert.notEqual(found.subject.rule, rule);
          assert.ok(globMatches(when, found.subject.rule) && globMatches(mutes, rule));
          assert.ok(!globMatches(when, rule));
        }
      }),
    );
  });
});

describe("what holds a message back", () => {
  it("is nothing when nothing is in force, and says which it is", () => {
    const none = { silences: [], quietHours: [], inhibit: [], open: [] };
    for (const level of levels) assert.equal(muteOf(topic({}, level), none, noonMs), null);
    const silenced = { ...none, silences: [silence({ rule: ["*"] })] };
    assert.deepEqual(muteOf(topic(), silenced, noonMs), { reason: "silenced", id: "s1" });
    const night = { ...none, quietHours: [quiet({ fromMinute: 0, toMinute: 1_440 })] };
    assert.deepEqual(muteOf(topic(), night, noonMs), { reason: "quiet_hours", id: "nights" });
    const down = {
      ...none,
      inhibit: [{ when: "node-down", mutes: ["cpu*"] }],
      open: [open("node-down")],
    };
    assert.deepEqual(muteOf(topic(), down, noonMs), {
      reason: "inhibited",
      id: "open-node-down",
    });
  });
});
