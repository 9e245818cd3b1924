import assert from "node:assert/strict";
import fc from "fast-check";
import {
  keyId,
  keyIdOf,
  readToken,
  writeToken,
  type NamedKey,
} from "../../src/alerts/links/token.ts";
import { actionLinks } from "../../src/alerts/links/links.ts";
import { SigningKeys } from "../../src/alerts/links/keys.ts";
import { nextMorning, silenceEnd, zoneOf } from "../../src/alerts/links/morning.ts";
import { wallClock } from "../../src/alerts/mute.ts";
import { createRedactor } from "../../src/base/secret.ts";
import { actionNames, type ActionClaim, type SigningKey } from "../../src/core/action.ts";
import { levels } from "../../src/core/rule.ts";
import { createMemoryKeys } from "../../src/store/memory/links.ts";
import { ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { incident } from "../support/view.ts";

const nowMs = Date.UTC(2026, 0, 5, 12);
const weekMs = 7 * 86_400_000;

function keyOf(letter: string, period = 2_900): NamedKey {
  const value = Buffer.alloc(32, letter).toString("base64url");
  return { id: keyId(period, value), value };
}
const key = keyOf("a");

const text = fc.string({ unit: "grapheme", maxLength: 30 });
const claims: fc.Arbitrary<ActionClaim> = fc.record(
  {
    action: fc.constantFrom(...actionNames),
    alert: text,
    cluster: text,
    node: text,
    rule: text,
    index: text,
    labels: fc.dictionary(
      fc.oneof(
        text.filter((name) => !(name in Object.prototype)),
        fc.constantFrom("prototype", "constructor"),
      ),
      text,
      { maxKeys: 4, noNullPrototype: true },
    ),
    level: fc.constantFrom(...levels),
    expiresAt: fc.integer({ min: nowMs / 1_000 + 1, max: nowMs / 1_000 + 86_400 }),
  },
  { noNullPrototype: true },
);

describe("a token", () => {
  it("says what was signed, always with the same id, and another token has another", () => {
    fc.assert(
      fc.property(claims, claims, (claim, other) => {
        const token = writeToken(claim, key);
        const read = readToken(token, key, nowMs);
        assert.ok(read.ok);
        assert.deepEqual(read.claim, claim);
        assert.deepEqual(readToken(token, key, nowMs), read);
        assert.match(token, /^[\w.-]+$/);
        assert.equal(keyIdOf(token), key.id);
        const second = readToken(writeToken(other, key), key, nowMs);
        assert.ok(second.ok);
        if (JSON.stringify(other) !== JSON.stringify(claim)) assert.notEqual(second.id, read.id);
      }),
    );
  });

  it("is refused with any of its bits flipped, cut anywhere, or with anything added", () => {
    fc.assert(
      fc.property(claims, fc.nat(), fc.nat(7), (claim, at, bit) => {
        const token = writeToken(claim, key);
        const bytes = Buffer.from(token, "latin1");
        const where = at % bytes.length;
        bytes[where] = (bytes[where] ?? 0) ^ (1 << bit);
        for (const wrong of [bytes.toString("latin1"), token.slice(0, where), `${token}A`])
          assert.deepEqual(readToken(wrong, key, nowMs), { ok: false, reason: "forged" });
      }),
      { numRuns: 500 },
    );
  });

  it("is refused with every single bit of one flipped", () => {
    const [claim] = fc.sample(claims, { numRuns: 1, seed: 7 });
    const token = writeToken(claim!, key);
    for (let at = 0; at < token.length * 8; at++) {
      const bytes = Buffer.from(token, "latin1");
      bytes[at >> 3]! ^= 1 << (at & 7);
      assert.equal(readToken(bytes.toString("latin1"), key, nowMs).ok, false, `bit ${at}`);
    }
  });

  it("is no right to another action or another alert: their parts do not fit together", () => {
    fc.assert(
      fc.property(claims, claims, (claim, other) => {
        fc.pre(JSON.stringify(claim) !== JSON.stringify(other));
        const [id, , signed] = writeToken(claim, key).split(".");
        const [, claimed] = writeToken(other, key).split(".");
        const swapped = readToken(`${id}.${claimed}.${signed}`, key, nowMs);
        assert.deepEqual(swapped, { ok: false, reason: "forged" });
      }),
    );
  });

  it("is refused with another key, also one that claims its id", () => {
    fc.assert(
      fc.property(claims, fc.uint8Array({ minLength: 32, maxLength: 32 }), (claim, bytes) => {
        const value = Buffer.from(bytes).toString("base64url");
        fc.pre(value !== key.value);
        const token = writeToken(claim, key);
        for (const other of [{ id: key.id, value }, { id: keyId(2_900, value), value }, null])
          assert.deepEqual(readToken(token, other, nowMs), { ok: false, reason: "forged" });
      }),
    );
  });

  it("is the right to anything only before its time is over", () => {
    fc.assert(
      fc.property(claims, (claim) => {
        const token = writeToken(claim, key);
        const endMs = claim.expiresAt * 1_000;
        assert.ok(readToken(token, key, endMs - 1).ok);
        assert.deepEqual(readToken(token, key, endMs), { ok: false, reason: "expired" });
      }),
    );
  });

  it("is no token when it is any other text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (wrong) => {
        assert.equal(keyIdOf(wrong), null);
        assert.deepEqual(readToken(wrong, key, nowMs), { ok: false, reason: "forged" });
      }),
    );
  });
});

describe("links of a message", () => {
  const url = "https://nodes.example/agents/";
  const links = (of = incident(), kind: "firing" | "resolved" = "firing") =>
    actionLinks({ kind, incident: of }, url, key, nowMs);

  it("are one for each thing that may be done, below the public address, for a day", () => {
    const all = links();
    assert.deepEqual(
      all.map(({ action }) => action),
      ["ack", "silence_hour", "silence_morning"],
    );
    for (const { action, url } of all) {
      assert.ok(url.startsWith("https://nodes.example/agents/actions/"));
      const read = readToken(url.split("/").at(-1) ?? "", key, nowMs);
      assert.ok(read.ok);
      assert.equal(read.claim.action, action);
      assert.equal(read.claim.expiresAt, nowMs / 1_000 + 86_400);
      assert.ok(url.length < 500, `${url.length}`);
    }
  });

  it("are none without a key, without an address, and when it is over", () => {
    assert.deepEqual(actionLinks({ kind: "firing", incident: incident() }, url, null, nowMs), []);
    assert.deepEqual(actionLinks({ kind: "firing", incident: incident() }, null, key, nowMs), []);
    assert.deepEqual(links(incident({ status: "resolved" }), "resolved"), []);
  });

  it("silence nothing by a name that would be a pattern", () => {
    const of = incident();
    const evil = { ...of, subject: { ...of.subject, labels: { mount: "/data*" } } };
    assert.deepEqual(
      links(evil).map(({ action }) => action),
      ["ack"],
    );
  });

  it("are never longer than browsers take: then only what needs no labels is left", () => {
    const of = incident();
    const labels = Object.fromEntries(
      Array.from({ length: 30 }, (_, at) => [`label_${at}`, "x".repeat(200)]),
    );
    const long = links({ ...of, subject: { ...of.subject, labels } });
    assert.deepEqual(
      long.map(({ action }) => action),
      ["ack"],
    );
    assert.ok((long[0]?.url.length ?? 0) < 500);
  });
});

describe("keys for links", () => {
  const make = (
    port = createMemoryKeys(),
    clock = new ManualClock(nowMs),
    saved: readonly SigningKey[] = [],
  ) => {
    const files: (readonly SigningKey[])[] = [saved];
    const redactor = createRedactor();
    const { log, lines } = recordLog();
    const keys = new SigningKeys({
      port,
      clock,
      log,
      redactor,
      saved: {
        load: async () => files.at(-1) ?? [],
        save: async (all) => void files.push(all),
      },
    });
    return { keys, clock, files, redactor, lines, port };
  };
  const away = {
    settle: () => Promise.reject(new Error("away")),
    list: () => Promise.reject(new Error("away")),
  };

  it("are the same for two agents that share a store, made once a week", async () => {
    const one = make();
    const other = make(one.port, one.clock);
    assert.equal(one.keys.current, null);
    await Promise.all([one.keys.refresh(1), other.keys.refresh(1)]);
    const first = one.keys.current;
    assert.ok(first !== null);
    assert.deepEqual(other.keys.current, first);
    await one.clock.advance(weekMs);
    assert.deepEqual(one.keys.current, first);
    await one.keys.refresh(1);
    assert.notDeepEqual(one.keys.current, first);
  });

  it("go on verifying what the former key has signed, until it is forgotten with its links", async () => {
    const one = make();
    await one.keys.refresh(1);
    const former = one.keys.current;
    assert.ok(former !== null);
    await one.clock.advance(weekMs);
    await one.keys.refresh(1);
    assert.deepEqual(await one.keys.find(former.id), former);
    const other = make(one.port, one.clock);
    assert.deepEqual(await other.keys.find(former.id), former);
    await one.clock.advance(5 * weekMs);
    await one.keys.refresh(1);
    assert.equal(await one.keys.find(former.id), null);
  });

  it("are known after a restart without the store, and put into one that came back empty", async () => {
    const one = make();
    await one.keys.refresh(1);
    const { current } = one.keys;
    const later = make(away, one.clock, one.files.at(-1));
    await later.keys.restore();
    await later.keys.refresh(1);
    assert.deepEqual(later.keys.current, current);
    const empty = createMemoryKeys();
    const back = make(empty, one.clock, one.files.at(-1));
    await back.keys.restore();
    await back.keys.refresh(2);
    const third = make(empty, one.clock);
    assert.deepEqual(await third.keys.find(current?.id ?? ""), current);
  });

  it("are none while the store is away and none is remembered", async () => {
    const { keys } = make(away);
    await keys.restore();
    await keys.refresh(1);
    assert.equal(keys.current, null);
  });

  it("ask the store for an unknown id once in a while only, whoever sends forged links", async () => {
    const inner = createMemoryKeys();
    let asked = 0;
    const port = { ...inner, list: () => ((asked += 1), inner.list()) };
    const { keys, clock } = make(port);
    for (let n = 0; n < 20; n++)
      assert.equal(await keys.find(`1-${String(n).padStart(12, "0")}`), null);
    assert.equal(asked, 1);
    await clock.advance(5_000);
    await keys.find("1-000000000000");
    assert.equal(asked, 2);
  });

  it("are in no log and masked wherever they turn up", async () => {
    const { keys, redactor, lines } = make();
    await keys.refresh(1);
    const value = keys.current?.value ?? "";
    assert.equal(redactor.redact(`key ${value}.`), "key ***.");
    assert.ok(!JSON.stringify(lines).includes(value));
    assert.ok(!(keys.current?.id ?? "").includes(value.slice(0, 12)));
  });
});

describe("until tomorrow", () => {
  it("is eight o'clock by the zone's clocks, from two hours to a bit more than a day away", () => {
    const zones = ["UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"];
    fc.assert(
      fc.property(
        fc.constantFrom(...zones, "Australia/Lord_Howe"),
        fc.integer({ min: Date.UTC(2026, 0, 1), max: Date.UTC(2027, 0, 1) }),
        (zone, atMs) => {
          const untilMs = nextMorning(zone, atMs);
          assert.equal(wallClock(zone, untilMs).minute, 480);
          const hours = (untilMs - atMs) / 3_600_000;
          assert.ok(hours > 0.9 && hours < 27.1, `${hours} h in ${zone}`);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("means the coming morning at night, and the next day's just before it", () => {
    const at = (hour: number, minute = 0): number => Date.UTC(2026, 0, 5, hour, minute);
    assert.equal(nextMorning("UTC", at(2)), at(8));
    assert.equal(nextMorning("UTC", at(7, 50)), at(32));
    assert.equal(nextMorning("UTC", at(17)), at(32));
    assert.equal(nextMorning("Asia/Shanghai", at(12)), at(24));
    assert.equal(silenceEnd("silence_hour", "UTC", at(2)).untilMs, at(3));
  });

  it("is in the quiet hours' zone, else the machine's, else where the language is spoken", () => {
    const hours = { timezone: "Europe/Berlin" } as Parameters<typeof zoneOf>[0][number];
    assert.equal(zoneOf([hours], "zh-CN", "Asia/Tokyo"), "Europe/Berlin");
    assert.equal(zoneOf([], "zh-CN", "Asia/Tokyo"), "Asia/Tokyo");
    assert.equal(zoneOf([], "zh-CN", "UTC"), "Asia/Shanghai");
    assert.equal(zoneOf([], "en", "Etc/UTC"), "UTC");
  });
});
