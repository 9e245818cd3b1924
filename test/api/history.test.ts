import assert from "node:assert/strict";
import type { HistoryEntry } from "../../src/core/history.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { ManualClock } from "../support/clock.ts";
import { incident, MemoryView, receipt } from "../support/view.ts";

const hour = 3_600_000;

describe("/api/history", () => {
  let api: TestApi;
  let view: MemoryView;
  let clock: ManualClock;
  beforeEach(async () => {
    clock = new ManualClock(Date.UTC(2026, 0, 20, 12));
    view = new MemoryView();
    api = await startApi({ view, clock });
  });
  afterEach(() => api.api.stop());

  const entry = (
    id: string,
    ageMs: number,
    changes: Parameters<typeof incident>[0] = {},
  ): HistoryEntry => ({
    incident: incident({ id, startedAtMs: clock.now() - ageMs, ...changes }),
    levels: [{ level: "warning", atMs: clock.now() - ageMs }],
    told: [{ id: `m-${id}`, kind: "firing", atMs: clock.now() - ageMs }],
    deliveries: [
      { kind: "firing", channel: "ops", outcome: "sent", code: "0", atMs: clock.now() - ageMs },
    ],
  });
  const ids = async (query: string): Promise<string[]> => {
    const { status, json } = await api.ask(`/api/history${query}`);
    assert.equal(status, 200, JSON.stringify(json));
    return (json as { items: { id: string }[] }).items.map(({ id }) => id);
  };

  it("lists the last week, newest first, or the time that is asked for", async () => {
    view.entries = [entry("a", hour), entry("b", 2 * hour), entry("old", 8 * 24 * hour)];
    assert.deepEqual(await ids(""), ["a", "b"]);
    assert.deepEqual(await ids("?from=-30d"), ["a", "b", "old"]);
    assert.deepEqual(await ids("?from=-3h&to=-90m"), ["b"]);
    assert.equal((await api.ask("/api/history?from=now&to=-1h")).status, 400);
    assert.equal((await api.ask("/api/history?from=soon")).status, 400);
    assert.equal((await api.ask("/api/history?nod=x")).status, 400);
  });

  it("takes what is asked for of each part", async () => {
    const other = { cluster: "west", name: "node-2", ip: "192.0.2.2" };
    view.entries = [
      entry("a", hour, { level: "critical" }),
      entry("b", 2 * hour, {
        status: "resolved",
        subject: { ...incident().subject, node: other, rule: "disk-full", index: "disk" },
      }),
    ];
    for (const query of [
      "node=node-2",
      "node=west/node-2",
      "cluster=west",
      "rule=disk-full",
      "index=disk",
      "status=resolved",
    ])
      assert.deepEqual(await ids(`?${query}`), ["b"], query);
    assert.deepEqual(await ids("?level=critical"), ["a"]);
    assert.deepEqual(await ids("?node=east/node-2"), []);
  });

  it("goes on where a page ended", async () => {
    view.entries = ["a", "b", "c"].map((id, at) => entry(id, (at + 1) * hour));
    const first = await api.ask("/api/history?limit=2");
    const { cursor } = first.json as { cursor: string };
    assert.deepEqual(await ids(`?limit=2&cursor=${cursor}`), ["c"]);
  });

  it("answers /api/alerts/:id of any node, with receipts, or with what is left of them", async () => {
    view.entries = [entry("far", hour)];
    const { json } = await api.ask("/api/alerts/far");
    const { levels, deliveries } = json as { levels: unknown[]; deliveries: unknown[] };
    assert.equal(levels.length, 1);
    assert.deepEqual(deliveries, [
      {
        kind: "firing",
        channel: "ops",
        outcome: "sent",
        code: "0",
        at: (clock.now() - hour) / 1_000,
      },
    ]);
    view.receiptList = [receipt({ id: "m-far:ops", alert: "far" })];
    const again = (await api.ask("/api/alerts/far")).json as { deliveries: { id: string }[] };
    assert.equal(again.deliveries[0]?.id, "m-far:ops");
    assert.equal((await api.ask("/api/alerts/none")).status, 404);
  });
});
