import assert from "node:assert/strict";
import { History } from "../../src/alerts/history.ts";
import type { Telling } from "../../src/alerts/telling.ts";
import type { Incident, MessageKind } from "../../src/core/alert.ts";
import type { HistoryEntry } from "../../src/core/history.ts";
import { KeptHistory } from "../../src/store/kept-history.ts";
import { createLocalFiles } from "../../src/store/local.ts";
import { createMemoryHistory } from "../../src/store/memory/history.ts";
import { createMemoryReceipts } from "../../src/store/memory/receipts.ts";
import { receipt } from "../support/alerts.ts";
import { ManualClock } from "../support/clock.ts";
import { job } from "../support/jobs.ts";
import { recordLog } from "../support/log.ts";
import { outboxDir } from "../support/outbox.ts";

const minute = 60_000;

describe("the history of incidents", () => {
  let clock: ManualClock;
  let dir: string;
  let isAway: boolean;
  let stored: ReturnType<typeof createMemoryHistory>;
  let receipts: ReturnType<typeof createMemoryReceipts>;
  let lines: ReturnType<typeof recordLog>;
  let ids: number;
  beforeEach(() => {
    clock = new ManualClock(Date.UTC(2026, 0, 5, 12));
    dir = outboxDir();
    isAway = false;
    ids = 0;
    stored = createMemoryHistory(clock);
    receipts = createMemoryReceipts({ perChannel: 100 });
    lines = recordLog();
  });

  const reach = (): void => {
    if (isAway) throw new Error("not connected");
  };
  /** One run of the agent. */
  const open = (): { history: History; kept: KeptHistory } => {
    const { log } = lines;
    const kept = new KeptHistory({
      history: {
        put: async (...entry) => (reach(), stored.put(...entry)),
        get: async (...which) => (reach(), stored.get(...which)),
        day: async (day) => (reach(), stored.day(day)),
      },
      local: createLocalFiles(dir, { log, clock }),
      file: "history.json",
      log,
      historyDays: () => 90,
    });
    const history = new History({
      entries: kept,
      receipts,
      channels: () => ["ops", "mail"],
      receiptId: (message, channel) => `${message}:${channel}`,
      clock,
      log,
    });
    return { history, kept };
  };
  const incident = (changes: Partial<Incident> = {}): Incident => ({
    ...job("a").message.incident,
    id: "inc-1",
    startedAtMs: Date.UTC(2026, 0, 5, 12),
    ...changes,
  });
  const telling = (message: MessageKind | null, changes: Partial<Incident> = {}): Telling => ({
    id: `m-${++ids}`,
    incident: incident(changes),
    message,
    record: null,
    atMs: clock.now(),
    again: false,
  });
  const today = (): number => Math.floor(Date.UTC(2026, 0, 5) / 86_400_000);
  const entry = async (): Promise<HistoryEntry | null> => stored.get(today(), "inc-1");

  it("has beginning, levels, messages, end, and what became of each message", async () => {
    const { history } = open();
    history.note(telling("firing"));
    clock.jump(minute);
    history.note(telling("escalated", { level: "critical", peak: 99 }));
    clock.jump(minute);
    const over = {
      level: "critical",
      status: "resolved",
      endedAtMs: clock.now(),
      peak: 99,
    } as const;
    history.note(telling("resolved", over));
    await history.idle();
    const kept = await entry();
    assert.deepEqual(
      kept?.levels.map(({ level }) => level),
      ["warning", "critical"],
    );
    assert.deepEqual(
      kept.told.map(({ kind }) => kind),
      ["firing", "escalated", "resolved"],
    );
    assert.deepEqual(
      [kept.incident.peak, kept.incident.status, kept.deliveries],
      [99, "resolved", null],
    );
    await receipts.put(receipt("m-1:ops", { outcome: "sent", code: "0", settledAtMs: 2_000 }));
    await receipts.put(
      receipt("m-3:mail", {
        channel: "mail",
        kind: "resolved",
        outcome: "refused",
        code: "550",
        settledAtMs: 3_000,
      }),
    );
    await history.sumUp();
    assert.equal((await entry())?.deliveries, null, "what is to arrive has not yet");
    clock.jump(11 * minute);
    await history.sumUp();
    assert.deepEqual((await entry())?.deliveries, [
      { kind: "firing", channel: "ops", outcome: "sent", code: "0", atMs: 2_000 },
      { kind: "resolved", channel: "mail", outcome: "refused", code: "550", atMs: 3_000 },
    ]);
  });

  it("goes on with what an earlier run remembered, and sums it up", async () => {
    const first = open();
    first.history.note(telling("firing"));
    await first.history.idle();
    clock.jump(minute);
    const second = open();
    second.history.follow(incident());
    second.history.note(telling("escalated", { level: "critical" }));
    await second.history.idle();
    assert.deepEqual(
      (await entry())?.told.map(({ kind }) => kind),
      ["firing", "escalated"],
    );
    assert.deepEqual(
      (await entry())?.levels.map(({ level }) => level),
      ["warning", "critical"],
    );
    const over = { level: "critical", status: "resolved", endedAtMs: clock.now() } as const;
    second.history.note(telling("resolved", over));
    await second.history.idle();
    clock.jump(11 * minute);
    const third = open();
    third.history.follow(incident(over));
    await receipts.put(receipt("m-1:ops", { outcome: "sent", settledAtMs: 2_000 }));
    await third.history.sumUp();
    assert.equal((await entry())?.deliveries?.length, 1);
    const before = await entry();
    const fourth = open();
    fourth.history.follow(incident(over));
    await fourth.history.sumUp();
    assert.equal(await entry(), before, "what is summed up is not written again");
  });

  it("is completed after the store was away, though the agent was killed meanwhile", async () => {
    const first = open();
    isAway = true;
    first.history.note(telling("firing"));
    clock.jump(minute);
    first.history.note(telling("resolved", { status: "resolved", endedAtMs: clock.now() }));
    await first.history.idle();
    assert.equal((await first.kept.day(today())).length, 1, "it is shown meanwhile");
    assert.deepEqual(lines.of("warn"), ["history waits for the store"]);
    const second = open();
    await second.kept.load();
    isAway = false;
    await second.kept.flush();
    assert.deepEqual(
      (await entry())?.told.map(({ kind }) => kind),
      ["firing", "resolved"],
    );
    const third = open();
    await third.kept.load();
    await third.kept.flush();
    assert.deepEqual(lines.of("warn"), ["history waits for the store"]);
  });
});
