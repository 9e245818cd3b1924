import assert from "node:assert/strict";
import fc from "fast-check";
import type { MessageKind } from "../../src/core/alert.ts";
import type { Digest, Waiting } from "../../src/core/delivery.ts";
import type { Level } from "../../src/core/rule.ts";
import { isDigest, nextAlone, nextTogether, type Parcel } from "../../src/notify/parcel.ts";
import { job } from "../support/jobs.ts";

function waits(
  id: string,
  of: string,
  more: { at?: number; kind?: MessageKind; level?: Level; dueInMs?: number } = {},
): Waiting {
  const { at: createdAtMs = 1_000, dueInMs = 0, ...rest } = more;
  return { job: job(id, { of, createdAtMs, ...rest }), dueInMs };
}

function ids(parcel: Parcel | null): readonly string[] | undefined {
  return parcel?.jobs.map(({ id }) => id);
}

function digestOf(parcel: Parcel | null): Digest {
  assert.ok(parcel !== null && isDigest(parcel.content), "a digest");
  return parcel.content;
}

const news: fc.Arbitrary<readonly Waiting[]> = fc
  .array(
    fc.record({
      of: fc.integer({ min: 0, max: 12 }),
      kind: fc.constantFrom<MessageKind>("firing", "escalated", "repeated", "resolved"),
      level: fc.constantFrom<Level>("info", "warning", "critical"),
      dueInMs: fc.constantFrom(0, 0, 0, 500),
    }),
    { maxLength: 40 },
  )
  .map((all) =>
    all.map(({ of, ...more }, at) => waits(`job-${at}`, `alert-${of}`, { ...more, at })),
  );

describe("what goes out as one message", () => {
  it("is nothing when nothing is due", () => {
    assert.equal(nextTogether([], { atMs: 1 }), null);
    assert.equal(nextAlone([waits("a", "x", { dueInMs: 5 })]), null);
  });

  it("is one of one or two incidents, critical first, then the oldest", () => {
    const [old, young] = [waits("a", "x", { at: 1 }), waits("b", "y", { at: 2 })];
    assert.deepEqual(ids(nextTogether([old, young], { atMs: 9 })), ["a"]);
    const urgent = waits("c", "z", { at: 3, level: "critical" });
    assert.deepEqual(ids(nextTogether([old, urgent], { atMs: 9 })), ["c"]);
    assert.equal(nextTogether([old, urgent], { atMs: 9 })?.digest, null);
  });

  it("is a digest of more, what is critical first and what is over last", () => {
    const parcel = nextTogether(
      [
        waits("over", "a", { at: 1, kind: "resolved", level: "critical" }),
        waits("info", "b", { at: 2, level: "info" }),
        waits("warning", "c", { at: 3 }),
        waits("critical", "d", { at: 4, level: "critical" }),
      ],
      { atMs: 9 },
    );
    const digest = digestOf(parcel);
    assert.deepEqual(ids(parcel), ["critical", "warning", "info", "over"]);
    assert.deepEqual(
      digest.items.map(({ isFirst }) => isFirst),
      [true, true, true, false],
    );
    assert.deepEqual([digest.id, digest.atMs], [parcel?.digest, 9]);
  });

  it("tells an incident that began and ended in between in one line, not forgetting what is to be tried again", () => {
    const began = waits("began", "x", { at: 1, dueInMs: 60_000 });
    const ended = waits("ended", "x", { at: 2, kind: "resolved" });
    const parcel = nextTogether([began, ended], { atMs: 9 });
    assert.deepEqual(ids(parcel), ["began", "ended"]);
    assert.equal(parcel?.content, ended.job.message);
    assert.equal(parcel.digest, ended.job.message.id);
    const many = [began, ended, waits("b", "y"), waits("c", "z")];
    const item = digestOf(nextTogether(many, { atMs: 9 })).items.find(
      ({ message }) => message.kind === "resolved",
    );
    assert.equal(item?.isFirst, true);
  });

  it("is called the same when the same is tried again", () => {
    const all = ["a", "b", "c"].map((id) => waits(id, id));
    const again = all.toReversed().map(({ job: one }) => ({
      job: { ...one, attempts: 1 },
      dueInMs: 0,
    }));
    assert.equal(nextTogether(all, { atMs: 1 })?.digest, nextTogether(again, { atMs: 2 })?.digest);
    assert.notEqual(
      nextTogether(all, { atMs: 1 })?.digest,
      nextTogether([...all, waits("d", "d")], { atMs: 1 })?.digest,
    );
  });

  it("one by one, keeps the news of an incident in their order, and lets them wait for one another", () => {
    const first = waits("first", "x", { at: 1, dueInMs: 500 });
    const last = waits("last", "x", { at: 2, kind: "resolved", level: "critical" });
    assert.equal(nextAlone([first, last]), null);
    assert.deepEqual(ids(nextAlone([first, last, waits("other", "y", { at: 9 })])), ["other"]);
    const due = { ...first, dueInMs: 0 };
    assert.deepEqual(ids(nextAlone([waits("other", "y", { at: 0 }), due, last])), ["first"]);
  });

  it("tells everything that is due, each once, of every incident the newest", () => {
    fc.assert(
      fc.property(news, (all) => {
        const told = new Map<string, number>();
        let left = [...all];
        for (;;) {
          const parcel = nextTogether(left, { atMs: 9 });
          if (parcel === null) break;
          for (const { id } of parcel.jobs) told.set(id, (told.get(id) ?? 0) + 1);
          const messages = isDigest(parcel.content)
            ? parcel.content.items.map(({ message }) => message)
            : [parcel.content];
          for (const { incident, atMs } of messages) {
            const times: readonly number[] = parcel.jobs
              .filter(({ message }) => message.incident.id === incident.id)
              .map(({ message }) => message.atMs);
            assert.equal(atMs, Math.max(...times));
          }
          const gone = new Set(parcel.jobs.map(({ id }) => id));
          left = left.filter(({ job: { id } }) => !gone.has(id));
        }
        for (const { job: one, dueInMs } of all) {
          assert.equal(told.get(one.id), 1, `due in ${dueInMs} ms`);
        }
      }),
    );
  });

  it("one by one, tells every incident's news in their order", () => {
    fc.assert(
      fc.property(news, (all) => {
        const ready = all.map(({ job: one }) => ({ job: one, dueInMs: 0 }));
        const told = new Map<string, number[]>();
        let left = ready;
        for (let parcel = nextAlone(left); parcel !== null; parcel = nextAlone(left)) {
          const [one] = parcel.jobs;
          assert.ok(one !== undefined && parcel.jobs.length === 1);
          const { id } = one.message.incident;
          told.set(id, [...(told.get(id) ?? []), one.createdAtMs]);
          left = left.filter(({ job: other }) => other.id !== one.id);
        }
        assert.equal(left.length, 0);
        for (const times of told.values())
          assert.deepEqual(
            times,
            times.toSorted((a, b) => a - b),
          );
      }),
    );
  });
});
