import assert from "node:assert/strict";
import fc from "fast-check";
import type { ReceiptPort } from "../../src/core/delivery.ts";
import { createKeptReceipts, type KeptReceipts } from "../../src/store/kept-receipts.ts";
import { createMemoryReceipts } from "../../src/store/memory/receipts.ts";
import { receipt } from "../support/alerts.ts";
import { ManualClock, settle } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

describe("receipts that wait for the store", () => {
  let clock: ManualClock;
  let kept: ReturnType<typeof recordLog>;
  let store: "there" | "away" | "silent";
  let answers: (() => void)[];
  let stored: ReceiptPort;
  let receipts: KeptReceipts;

  beforeEach(() => {
    clock = new ManualClock();
    kept = recordLog();
    store = "there";
    answers = [];
    stored = createMemoryReceipts({ perChannel: 2_000 });
    const reach = async (): Promise<void> => {
      if (store === "away") throw new Error("not connected");
      if (store === "silent") await new Promise<void>((resolve) => answers.push(resolve));
    };
    const through: ReceiptPort = {
      put: async (one) => {
        await reach();
        await stored.put(one);
      },
      list: async (query) => {
        await reach();
        return stored.list(query);
      },
      find: async (channel, ids) => {
        await reach();
        return stored.find(channel, ids);
      },
    };
    receipts = createKeptReceipts({ receipts: through, clock, log: kept.log });
  });

  const outcomes = async (port: ReceiptPort): Promise<Record<string, string>> =>
    Object.fromEntries((await port.list({ limit: 9_999 })).map(({ id, outcome }) => [id, outcome]));

  it("are stored at once while it is there", async () => {
    await receipts.put(receipt("a"));
    await receipts.put(receipt("a", { outcome: "sent" }));
    assert.deepEqual(await outcomes(stored), { a: "sent" });
    assert.deepEqual(kept.lines, []);
  });

  it("are shown while it is away and stored afterwards, as they are by then; said once each way", async () => {
    await receipts.put(receipt("before", { outcome: "sent" }));
    store = "away";
    await assert.rejects(receipts.list({ limit: 9 }), "nothing is known");
    await receipts.put(receipt("a"));
    await receipts.put(receipt("b", { channel: "mail", createdAtMs: 2_000 }));
    await receipts.put(receipt("a", { outcome: "sent" }));
    assert.deepEqual(await outcomes(receipts), { b: "pending", a: "sent" });
    assert.deepEqual((await receipts.list({ channel: "mail", limit: 9 })).length, 1);
    assert.deepEqual(await receipts.list({ alert: "alert-1", limit: 1 }), [
      receipt("b", { channel: "mail", createdAtMs: 2_000 }),
    ]);
    store = "there";
    await receipts.flush();
    assert.deepEqual(await outcomes(stored), { before: "sent", a: "sent", b: "pending" });
    assert.deepEqual(kept.of("warn"), ["receipts wait for the store"]);
    assert.deepEqual(kept.of("info"), ["receipts stored again"]);
  });

  it("hold nobody up for longer than a moment when it is silent, and the newest is what it gets", async () => {
    store = "silent";
    let done = false;
    const put = receipts.put(receipt("a")).then(() => (done = true));
    await clock.advance(199);
    await settle();
    assert.equal(done, false);
    await clock.advance(1);
    await put;
    const second = receipts.put(receipt("a", { outcome: "sent" }));
    await clock.advance(200);
    await second;
    store = "there";
    answers.splice(0).forEach((answer) => answer());
    await receipts.flush();
    assert.deepEqual(await outcomes(stored), { a: "sent" });
  });

  it("end up in the store as they were put last, whenever it comes and goes", async () => {
    const step = fc.record({
      id: fc.constantFrom("a", "b", "c"),
      outcome: fc.constantFrom("pending", "retrying", "sent", "dead"),
      there: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const inner = createMemoryReceipts({ perChannel: 100 });
        let there = true;
        const port = createKeptReceipts({
          receipts: {
            put: (one) => (there ? inner.put(one) : Promise.reject(new Error("away"))),
            list: (query) => inner.list(query),
            find: (channel, ids) => inner.find(channel, ids),
          },
          clock,
          log: recordLog().log,
        });
        const last: Record<string, string> = {};
        for (const { id, outcome, ...state } of steps) {
          ({ there } = state);
          await port.put(receipt(id, { outcome }));
          last[id] = outcome;
          assert.deepEqual(await outcomes(port), last);
        }
        there = true;
        await port.flush();
        assert.deepEqual(await outcomes(inner), last);
      }),
    );
  });

  it("are at most a thousand, the oldest go", async () => {
    store = "away";
    for (let n = 0; n < 1_005; n++) await receipts.put(receipt(`r${n}`, { createdAtMs: n }));
    store = "there";
    await receipts.flush();
    const ids = (await stored.list({ limit: 9_999 })).map(({ id }) => id);
    assert.equal(ids.length, 1_000);
    assert.deepEqual([ids[0], ids.at(-1)], ["r1004", "r5"]);
  });
});
