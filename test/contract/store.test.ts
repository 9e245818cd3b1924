import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { HistoryEntry } from "../../src/core/history.ts";
import type { NodeInfo } from "../../src/core/node.ts";
import type { Silence } from "../../src/core/silence.ts";
import { parseSelector } from "../../src/core/series.ts";
import type { Backend } from "../../src/store/contract.ts";
import { createDirectoryReport } from "../../src/store/directory.ts";
import { type BackendName, backends, createBackend } from "../../src/store/index.ts";
import type { RedisSettings } from "../../src/store/redis/settings.ts";
import { maxAcknowledgements } from "../../src/store/link.ts";
import { maxSilences } from "../../src/store/silence.ts";
import { dayOf } from "../../src/store/slots.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { redisSettings, startRedis } from "../support/redis.ts";
import { startCluster } from "../support/redis-cluster.ts";
import { receipt } from "../support/alerts.ts";
import { job } from "../support/jobs.ts";
import { row, rowsOf, seriesStore } from "../support/store.ts";

const node = "prod/node-1";
const stepMs = 10_000;

function silence(id: string, endsAtMs: number, changes: Partial<Silence> = {}): Silence {
  const matchers = {
    node: ["web-*"],
    cluster: null,
    rule: null,
    index: null,
    level: ["warning" as const],
    labels: { mount: "/数据*" },
  };
  const said = { author: "ada", comment: "an upgrade" };
  return { id, matchers, startsAtMs: 1_000, endsAtMs, createdAtMs: 1_000, ...said, ...changes };
}

/** A server that a backend needs. */
interface Server {
  settings(changes: Partial<RedisSettings>): RedisSettings;
  stop(): Promise<void>;
}

/** What the suite runs over: every backend of the list, each by itself or with the server it needs. */
interface Target {
  readonly title: string;
  readonly name: BackendName;
  readonly server: (() => Promise<Server>) | null;
}

const targets: readonly Target[] = [
  ...backends.map(({ name }) => ({
    title: name,
    name,
    server: name === "redis" ? () => startRedis() : null,
  })),
  { title: "redis cluster", name: "redis", server: () => startCluster() },
];

describe("storage backends", () => {
  it("have names of their own and say what they are", () => {
    assert.equal(new Set(backends.map(({ name }) => name)).size, backends.length);
    for (const { doc } of backends) assert.ok(doc.length > 10);
  });

  for (const { title, name, server: start } of targets)
    describe(title, () => {
      let server: Server | null = null;
      let dir: string;
      let clock: ManualClock;
      let backend: Backend;
      let today: number;
      let later: (day: number) => number;
      let used = 0;
      let retentionDays: number;
      let opened: Backend[];

      before(async () => {
        server = (await start?.()) ?? null;
        dir = await mkdtemp(path.join(os.tmpdir(), "backends-"));
      });
      after(async () => {
        await server?.stop();
        await rm(dir, { recursive: true });
      });

      /** One more agent at the same place. */
      const open = async (): Promise<Backend> => {
        const { log } = recordLog();
        const prefix = `t${used}`;
        const at = path.join(dir, prefix);
        const settings = {
          redis: server?.settings({ prefix }) ?? redisSettings(1),
          file: { dir: at, report: createDirectoryReport(at, log) },
        };
        const deps = { clock, log, retentionDays: () => retentionDays };
        const one = createBackend(name, settings, deps);
        opened.push(one);
        one.start();
        await eventually("the backend is there", () => one.status().status === "ok");
        return one;
      };

      beforeEach(async () => {
        // Redis expires keys by its own clock: the test's must begin now.
        clock = new ManualClock(Math.ceil(Date.now() / 600_000) * 600_000);
        today = dayOf(clock.now());
        later = (day) => (day + 10) * 86_400;
        retentionDays = 7;
        used++;
        opened = [];
        backend = await open();
      });
      afterEach(async () => {
        for (const one of opened) await one.stop();
      });

      const read = async (
        of: string,
        day: number,
        names: readonly string[],
      ): Promise<readonly (Uint8Array | null)[]> => {
        const [values = []] = await backend.read(of, [{ part: "blocks", day, names }]);
        return values;
      };

      it("gives back blocks in the order asked, null where there is none", async () => {
        const blob = Uint8Array.from([0, 1, 2, 255, 10, 13]);
        const other = Uint8Array.from([7]);
        await backend.writeBlocks(
          node,
          [
            { day: today, block: "3", blob },
            { day: today, block: "143", blob: other },
            { day: today - 1, block: "3", blob: other },
          ],
          later,
        );
        const found = await read(node, today, ["143", "0", "3"]);
        assert.deepEqual(
          found.map((bytes) => (bytes === null ? null : [...bytes])),
          [[7], null, [...blob]],
        );
        assert.deepEqual(await read("prod/node-2", today, ["3"]), [null]);
        assert.deepEqual(await read(node, today, []), []);
        await backend.writeBlocks(node, [], later);
      });

      it("overwrites a block whole", async () => {
        for (const bytes of [[1, 2, 3], [4]])
          await backend.writeBlocks(
            node,
            [{ day: today, block: "0", blob: Uint8Array.from(bytes) }],
            later,
          );
        const [found] = await read(node, today, ["0"]);
        assert.deepEqual([...(found ?? [])], [4]);
      });

      it("lets blocks and schemas expire at the second they are told", async () => {
        const past = Math.floor(clock.now() / 1_000) - 86_400;
        const write = { day: today - 9, block: "0", blob: Uint8Array.from([1]) };
        await backend.writeBlocks(node, [write], () => past);
        await backend.addSchema(node, today - 8, { number: 1, json: "{}", expireAt: past });
        assert.deepEqual(await read(node, today - 9, ["0"]), [null]);
        assert.equal((await backend.readSchemas(node, today - 8)).size, 0);
      });

      it("changes when days expire", async () => {
        const blob = Uint8Array.from([1]);
        const writes = [today - 2, today - 1].map((day) => ({ day, block: "0", blob }));
        await backend.writeBlocks(node, writes, later);
        const past = Math.floor(clock.now() / 1_000) - 86_400;
        await backend.expireDays(node, "blocks", [today - 3, today - 2], () => past);
        assert.deepEqual(await read(node, today - 2, ["0"]), [null]);
        assert.notDeepEqual(await read(node, today - 1, ["0"]), [null]);
        await backend.expireDays(node, "blocks", [], later);
      });

      const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
      const texts = (values: readonly (Uint8Array | null)[] | undefined): (string | null)[] =>
        (values ?? []).map((value) => (value === null ? null : new TextDecoder().decode(value)));

      it("reads several parts of several days at once, and names what is there", async () => {
        const writes = [
          { day: today, block: "3", blob: bytes("three") },
          { day: today - 1, block: "h5", blob: bytes("five") },
        ];
        await backend.writeBlocks(node, writes, later);
        const schema = { number: 1, json: "{}", expireAt: later(today) };
        await backend.addSchema(node, today, schema);
        const tier = new Map([["cpu", bytes("tier")]]);
        await backend.writeTier(node, today, tier, later(today));
        await backend.writeTier(node, today, new Map(), later(today));
        const found = await backend.read(node, [
          { part: "tier", day: today, names: ["cpu", "memory"] },
          { part: "blocks", day: today, names: ["3"] },
          { part: "columns", day: today, names: [] },
          { part: "blocks", day: today - 1, names: ["4", "h5"] },
        ]);
        assert.deepEqual(found.map(texts), [["tier", null], ["three"], [], [null, "five"]]);
        assert.deepEqual(await backend.read(node, []), []);
        assert.deepEqual(await backend.names(node, today, "blocks"), ["3"]);
        assert.deepEqual(await backend.names(node, today, "tier"), ["cpu"]);
        assert.deepEqual(await backend.names(node, today, "columns"), []);
        const past = Math.floor(clock.now() / 1_000) - 86_400;
        await backend.expireDays(node, "tier", [today], () => past);
        assert.deepEqual(await backend.names(node, today, "tier"), []);
        assert.deepEqual(await backend.names(node, today, "blocks"), ["3"]);
      });

      it("puts columns in the place of blocks, and only of blocks that are as they were read", async () => {
        const write = (block: string, text: string): Promise<void> =>
          backend.writeBlocks(node, [{ day: today, block, blob: bytes(text) }], later);
        const swap = (
          blocks: Record<string, string>,
          rows: string | null,
          next: string,
        ): Promise<boolean> =>
          backend.compact(node, today, {
            blocks: new Map(Object.entries(blocks).map(([name, text]) => [name, bytes(text)])),
            rows: rows === null ? null : bytes(rows),
            columns: new Map([
              ["@rows", bytes(next)],
              ["cpu", bytes(`cpu of ${next}`)],
            ]),
            expireAt: later(today),
          });
        const columns = async (): Promise<(string | null)[]> => {
          const names = ["@rows", "cpu"];
          const [values] = await backend.read(node, [{ part: "columns", day: today, names }]);
          return texts(values);
        };
        await backend.addSchema(node, today, { number: 1, json: "{}", expireAt: later(today) });
        for (const [block, text] of [
          ["1", "one"],
          ["2", "two"],
          ["h3", "three"],
        ] as const)
          await write(block, text);
        assert.equal(await swap({ "1": "one", "2": "too" }, null, "first"), false);
        assert.equal(await swap({ "1": "one", "4": "four" }, null, "first"), false);
        assert.equal(await swap({ "1": "one" }, "zeroth", "first"), false);
        assert.deepEqual(await columns(), [null, null]);
        assert.equal(await swap({ "1": "one", "2": "two" }, null, "first"), true);
        assert.deepEqual(await columns(), ["first", "cpu of first"]);
        assert.deepEqual(await backend.names(node, today, "blocks"), ["h3"]);
        assert.equal(await swap({ h3: "three" }, null, "second"), false);
        assert.equal(await swap({ h3: "three" }, "first", "second"), true);
        assert.deepEqual(await columns(), ["second", "cpu of second"]);
        assert.deepEqual(await backend.names(node, today, "blocks"), []);
        assert.equal((await backend.readSchemas(node, today)).size, 1);
        const past = Math.floor(clock.now() / 1_000) - 86_400;
        await backend.expireDays(node, "blocks", [today], () => past);
        assert.deepEqual(await columns(), [null, null]);
      });

      it("keeps the tier by itself: each value is overwritten alone, and it outlives the blocks", async () => {
        const write = (values: Record<string, string>, expireAt: number): Promise<void> =>
          backend.writeTier(
            node,
            today,
            new Map(Object.entries(values).map(([name, text]) => [name, bytes(text)])),
            expireAt,
          );
        const tier = async (): Promise<(string | null)[]> => {
          const names = ["cpu", 'disk{mount="/"}'];
          const [values] = await backend.read(node, [{ part: "tier", day: today, names }]);
          return texts(values);
        };
        assert.deepEqual(await tier(), [null, null]);
        await write({ cpu: "1", 'disk{mount="/"}': "2" }, later(today));
        await write({ cpu: "3" }, later(today));
        await backend.writeBlocks(node, [{ day: today, block: "1", blob: bytes("x") }], later);
        const past = Math.floor(clock.now() / 1_000) - 86_400;
        await backend.expireDays(node, "blocks", [today], () => past);
        assert.deepEqual(await backend.names(node, today, "blocks"), []);
        assert.deepEqual(await tier(), ["3", "2"]);
        await write({ cpu: "4" }, past);
        assert.deepEqual(await tier(), [null, null]);
      });

      it("compacts a day once when many ask at once, and takes late rows in afterwards", async () => {
        const write = (text: string): Promise<void> =>
          backend.writeBlocks(node, [{ day: today, block: "1", blob: bytes(text) }], later);
        const compact = (text: string, rows: string | null, next: string): Promise<boolean> =>
          backend.compact(node, today, {
            blocks: new Map([["1", bytes(text)]]),
            rows: rows === null ? null : bytes(rows),
            columns: new Map([["@rows", bytes(next)]]),
            expireAt: later(today),
          });
        await write("one");
        const done = await Promise.all(
          Array.from({ length: 8 }, (_, n) => compact("one", null, `first ${n}`)),
        );
        assert.equal(done.filter(Boolean).length, 1);
        const first = `first ${done.indexOf(true)}`;
        await write("late");
        assert.equal(await compact("one", first, "second"), false);
        assert.equal(await compact("late", null, "second"), false);
        const wanted = [
          { part: "blocks", day: today, names: ["1"] },
          { part: "columns", day: today, names: ["@rows"] },
        ] as const;
        assert.deepEqual((await backend.read(node, wanted)).map(texts), [["late"], [first]]);
        assert.equal(await compact("late", first, "second"), true);
        assert.deepEqual((await backend.read(node, wanted)).map(texts), [[null], ["second"]]);
      });

      if (name !== "memory")
        it("shows every agent what the others have written, and settles what they both want", async () => {
          const other = await open();
          await backend.writeBlocks(node, [{ day: today, block: "1", blob: bytes("x") }], later);
          const [values] = await other.read(node, [{ part: "blocks", day: today, names: ["1"] }]);
          assert.deepEqual(texts(values), ["x"]);
          await other.states(node).save(new Map([["a", "1"]]));
          assert.deepEqual(await backend.states(node).load(), new Map([["a", "1"]]));
          await other.putDocument(node, "effective", "{}");
          assert.equal(await backend.getDocument(node, "effective"), "{}");
          await other.receipts.put(receipt("a"));
          assert.equal((await backend.receipts.list({ limit: 9 })).length, 1);
          const info = { cluster: "prod", name: "node-2", ip: "10.0.0.2", version: "0.1.0" };
          await other.heartbeat({ ...info, lastSeenMs: clock.now() });
          assert.equal((await backend.nodes()).length, 1);
          const both = [backend, other];
          const schema = { number: 1, expireAt: later(today) };
          const added = await Promise.all(
            both.map((one, n) => one.addSchema(node, today, { ...schema, json: `${n}` })),
          );
          assert.equal(added.filter(Boolean).length, 1);
          for (const one of both)
            assert.equal((await one.readSchemas(node, today)).get(1), `${added.indexOf(true)}`);
          const swapped = await Promise.all(
            both.map((one, n) =>
              one.compact(node, today, {
                blocks: new Map([["1", bytes("x")]]),
                rows: null,
                columns: new Map([["@rows", bytes(`by ${n}`)]]),
                expireAt: later(today),
              }),
            ),
          );
          assert.equal(swapped.filter(Boolean).length, 1);
          for (const one of both)
            assert.deepEqual(await one.names(node, today, "columns"), ["@rows"]);
        });

      it("adds a schema only under a number that is free", async () => {
        const add = (number: number, json: string): Promise<boolean> =>
          backend.addSchema(node, today, { number, json, expireAt: later(today) });
        assert.equal(await add(1, "first"), true);
        assert.equal(await add(1, "second"), false);
        assert.equal(await add(255, "last"), true);
        assert.deepEqual(
          await backend.readSchemas(node, today),
          new Map([
            [1, "first"],
            [255, "last"],
          ]),
        );
        assert.equal((await backend.readSchemas(node, today - 1)).size, 0);
      });

      it("gives a schema number to only one of many that ask at once", async () => {
        const asked = await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            backend.addSchema(node, today, { number: 1, json: `${n}`, expireAt: later(today) }),
          ),
        );
        assert.equal(asked.filter(Boolean).length, 1);
      });

      it("keeps states by node and key; null takes one out", async () => {
        const states = backend.states(node);
        assert.equal((await states.load()).size, 0);
        await states.save(
          new Map<string, string | null>([
            ["cpu-high|cpu", '{"at":"firing"}'],
            ['磁盘|disk{mount="/"}', "x"],
            ["gone", null],
          ]),
        );
        await states.save(new Map([["cpu-high|cpu", null]]));
        await states.save(new Map());
        assert.deepEqual(
          await backend.states(node).load(),
          new Map([['磁盘|disk{mount="/"}', "x"]]),
        );
        assert.equal((await backend.states("prod/node-2").load()).size, 0);
      });

      it("keeps documents by node and kind", async () => {
        assert.equal(await backend.getDocument(node, "effective"), null);
        await backend.putDocument(node, "effective", '{"a":1}');
        await backend.putDocument(node, "admin", "{}");
        await backend.putDocument(node, "effective", '{"a":"中"}');
        assert.equal(await backend.getDocument(node, "effective"), '{"a":"中"}');
        assert.equal(await backend.getDocument(node, "admin"), "{}");
        assert.equal(await backend.getDocument("prod/node-2", "admin"), null);
      });

      it("tells apart nodes whose names hold odd characters", async () => {
        const odd = ["a}b/{c}", "a/b:c", "a/b c", "集群/节点", "a/%7B", "a/{", "a/\ud800"];
        for (const [index, name] of odd.entries())
          await backend.putDocument(name, "effective", String(index));
        for (const [index, name] of odd.entries())
          assert.equal(await backend.getDocument(name, "effective"), String(index));
      });

      it("knows the nodes that live, each with what it said last", async () => {
        const info: NodeInfo = {
          cluster: "prod",
          name: "node-1",
          ip: "10.0.0.1",
          version: "0.1.0",
          lastSeenMs: clock.now(),
        };
        const other = { ...info, cluster: "开发", lastSeenMs: clock.now() - 60_000 };
        assert.deepEqual(await backend.nodes(), []);
        await backend.heartbeat(other);
        await backend.heartbeat(info);
        await clock.advance(1_000);
        const moved = { ...info, ip: "10.0.0.9", lastSeenMs: clock.now() };
        await backend.heartbeat(moved);
        const found = [...(await backend.nodes())].sort((a, b) => a.lastSeenMs - b.lastSeenMs);
        assert.deepEqual(found, [other, moved]);
      });

      it("forgets nodes that were not seen for the retention", async () => {
        const info = { cluster: "prod", name: "dead", ip: "10.0.0.1", version: "0.1.0" };
        await backend.heartbeat({ ...info, lastSeenMs: clock.now() });
        await clock.advance(7 * 86_400_000 + 1);
        await backend.heartbeat({ ...info, name: "alive", lastSeenMs: clock.now() });
        assert.deepEqual(
          (await backend.nodes()).map(({ name }) => name),
          ["alive"],
        );
        retentionDays = 30;
        await clock.advance(1);
        const names = (await backend.nodes()).map((found) => found.name);
        assert.deepEqual(names, ["alive"], "it was taken out, not only left out");
      });

      it("replaces a receipt by its id and lists the newest first", async () => {
        const { receipts } = backend;
        await receipts.put(receipt("a", { createdAtMs: 1_000 }));
        await receipts.put(receipt("b", { createdAtMs: 3_000, alert: "alert-2" }));
        await receipts.put(receipt("c", { createdAtMs: 2_000, channel: "邮件" }));
        const settled = receipt("a", {
          outcome: "sent",
          code: "0",
          attempts: 1,
          settledAtMs: 5_000,
        });
        await receipts.put(settled);
        const ids = async (query: Parameters<typeof receipts.list>[0]): Promise<string[]> =>
          (await receipts.list(query)).map(({ id }) => id);
        assert.deepEqual(await ids({ limit: 10 }), ["b", "c", "a"]);
        assert.deepEqual(await ids({ limit: 2 }), ["b", "c"]);
        assert.deepEqual(await ids({ limit: 0 }), []);
        assert.deepEqual(await ids({ channel: "ops", limit: 10 }), ["b", "a"]);
        assert.deepEqual(await ids({ channel: "none", limit: 10 }), []);
        assert.deepEqual(await ids({ alert: "alert-1", limit: 10 }), ["c", "a"]);
        assert.deepEqual(await receipts.list({ channel: "ops", alert: "alert-1", limit: 1 }), [
          settled,
        ]);
      });

      it("keeps the newest 1,000 receipts of a channel", async () => {
        const { receipts } = backend;
        const put = (n: number): Promise<void> =>
          receipts.put(receipt(`r${String(n).padStart(5, "0")}`, { createdAtMs: n }));
        for (let n = 0; n < 1_050; n++) await put(n);
        const kept = await receipts.list({ channel: "ops", limit: 5_000 });
        assert.equal(kept.length, 1_000);
        assert.equal(kept[0]?.createdAtMs, 1_049);
        assert.equal(kept.at(-1)?.createdAtMs, 50);
      });

      it("gives leave to send to a robot as its limits say, and each robot its own", async () => {
        const { meter } = backend;
        const limits = [
          { count: 3, perMs: 60_000 },
          { count: 20, perMs: 1_000 },
        ];
        assert.deepEqual(await meter.budget("robot", limits), { left: 3, today: 0 });
        for (let sent = 1; sent <= 3; sent++) {
          const leave = await meter.take("robot", limits);
          assert.ok("arrived" in leave, `message ${sent}`);
          await leave.arrived();
          assert.deepEqual(await meter.budget("robot", limits), { left: 3 - sent, today: sent });
        }
        const refused = await meter.take("robot", limits);
        assert.ok("waitMs" in refused && refused.waitMs > 50_000 && refused.waitMs <= 60_000);
        assert.ok("arrived" in (await meter.take("another", limits)));
        assert.ok("arrived" in (await meter.take("robot", [{ count: 9, perMs: 60_000 }])));
      });

      it("closes a robot for everybody for as long as the longest rest it asked for", async () => {
        const { meter } = await open();
        const limits = [{ count: 9, perMs: 60_000 }];
        await meter.hold("robot", 600_000);
        await meter.hold("robot", 1_000);
        const refused = await meter.take("robot", limits);
        assert.ok("waitMs" in refused && refused.waitMs > 590_000 && refused.waitMs <= 600_000);
        assert.equal((await meter.budget("robot", limits)).left, 0);
        assert.ok("arrived" in (await meter.take("another", limits)));
      });

      it("keeps the history by the day an incident began on, replaced by id, until it expires", async () => {
        const { history } = backend;
        const entry = (id: string, startedAtMs: number, changes: Partial<HistoryEntry> = {}) => ({
          incident: { ...job(id).message.incident, id, startedAtMs },
          levels: [{ level: "warning" as const, atMs: startedAtMs }],
          told: [{ id: "m", kind: "firing" as const, atMs: startedAtMs }],
          deliveries: null,
          ...changes,
        });
        const noonMs = (today + 0.5) * 86_400_000;
        const late = later(today);
        await history.put(entry("a", noonMs), late);
        await history.put(entry("b", noonMs + 1), late);
        await history.put(entry("yesterday", noonMs - 86_400_000), late);
        const deliveries = [
          { kind: "firing", channel: "ops", outcome: "sent", code: "0", atMs: 5 },
        ] as const;
        await history.put(entry("a", noonMs, { deliveries }), late);
        const found = await history.day(today);
        assert.deepEqual(
          found.toSorted((a, b) => (a.incident.id < b.incident.id ? -1 : 1)),
          [entry("a", noonMs, { deliveries }), entry("b", noonMs + 1)],
        );
        assert.deepEqual(
          await history.get(today - 1, "yesterday"),
          entry("yesterday", noonMs - 86_400_000),
        );
        assert.equal(await history.get(today, "yesterday"), null);
        if (name !== "memory")
          assert.deepEqual(await (await open()).history.get(today, "b"), entry("b", noonMs + 1));
        await history.put(entry("old", noonMs - 9 * 86_400_000), 1);
        assert.deepEqual(await history.day(today - 9), []);
      });

      it("keeps silences for all, replaced by id, and forgets them a day after their end", async () => {
        const { silences } = backend;
        const hourMs = 3_600_000;
        const ids = async (): Promise<string[]> =>
          (await silences.list()).map(({ id }) => id).sort();
        assert.deepEqual(await silences.list(), []);
        const first = silence("a", clock.now() + hourMs);
        await silences.put(first);
        assert.deepEqual(await silences.list(), [first]);
        await silences.put(silence("b", clock.now() + 30 * hourMs));
        const ended = { ...first, endsAtMs: clock.now() };
        await silences.put(ended);
        assert.deepEqual(
          (await silences.list()).find(({ id }) => id === "a"),
          ended,
        );
        if (backend.name !== "memory")
          assert.equal((await (await open()).silences.list()).length, 2);
        await clock.advance(24 * hourMs - 1);
        assert.deepEqual(await ids(), ["a", "b"]);
        await clock.advance(1);
        assert.deepEqual(await ids(), ["b"]);
        await silences.put(silence("c", clock.now() + hourMs));
        assert.deepEqual(await ids(), ["b", "c"]);
      });

      it("keeps acknowledgements for all, the last of each alert, for a week", async () => {
        const { acknowledgements: port } = backend;
        const said = (id: string, alert: string, by = "ada") => {
          const atMs = clock.now();
          return { id, alert, by, atMs };
        };
        assert.deepEqual(await port.list(), []);
        await port.put(said("1", "alert-1"));
        await port.put(said("2", "alert-2", "王芳"));
        await port.put(said("3", "alert-1", "grace"));
        const who = async (): Promise<string[]> =>
          (await port.list()).map(({ id, alert, by }) => `${id} ${alert} ${by}`).sort();
        assert.deepEqual(await who(), ["2 alert-2 王芳", "3 alert-1 grace"]);
        if (backend.name !== "memory")
          assert.equal((await (await open()).acknowledgements.list()).length, 2);
        await clock.advance(7 * 86_400_000);
        assert.deepEqual(await who(), []);
        await port.put(said("4", "alert-3"));
        assert.deepEqual(await who(), ["4 alert-3 ada"]);
      });

      it("keeps no more acknowledgements than so many: the oldest go", async () => {
        const { acknowledgements: port } = backend;
        for (let n = 0; n <= maxAcknowledgements; n++)
          await port.put({ id: `i${n}`, alert: `a${n}`, by: "ada", atMs: clock.now() + n });
        const alerts = (await port.list()).map(({ alert }) => alert);
        assert.equal(alerts.length, maxAcknowledgements);
        assert.ok(!alerts.includes("a0") && alerts.includes(`a${maxAcknowledgements}`));
      });

      it("settles one key for links a week, whoever comes first, and drops those of old weeks", async () => {
        const { signingKeys: port } = backend;
        const key = (period: number, letter: string) => ({ period, value: letter.repeat(43) });
        assert.deepEqual(await port.list(), []);
        const all = await Promise.all(["a", "b", "c"].map((one) => port.settle(key(100, one))));
        assert.equal(new Set(all.map(({ value }) => value)).size, 1);
        const [first] = all;
        assert.deepEqual(await port.list(), [first]);
        if (backend.name !== "memory")
          assert.deepEqual(await (await open()).signingKeys.settle(key(100, "z")), first);
        assert.deepEqual(await port.settle(key(101, "d")), key(101, "d"));
        assert.equal((await port.list()).length, 2);
        await port.settle(key(102, "e"));
        const periods = new Set((await port.list()).map(({ period }) => period));
        assert.deepEqual(periods, new Set([101, 102]));
      });

      it("keeps no more silences than so many: those that are over go first, then none is taken", async () => {
        const { silences } = backend;
        const soonMs = clock.now() + 1_000;
        await silences.put(silence("over", clock.now()));
        for (let n = 1; n < maxSilences; n++) await silences.put(silence(`s${n}`, soonMs));
        await silences.put(silence("last", soonMs));
        const listed = (await silences.list()).map(({ id }) => id);
        assert.equal(listed.length, maxSilences);
        assert.ok(listed.includes("last") && !listed.includes("over"));
        await assert.rejects(silences.put(silence("more", soonMs)), { code: "CONFLICT" });
        await silences.put(silence("last", clock.now()));
        await silences.put(silence("more", soonMs));
        assert.equal((await silences.list()).length, maxSilences);
        assert.equal(backend.status().status, "ok");
      });

      describe("with series on top", () => {
        const all = (from: number, to: number) => ({
          node,
          selectors: ["cpu", "memory", "disk{*}"].map(parseSelector),
          fromMs: from,
          toMs: to,
        });

        it("loses nothing that was flushed when the process dies at any moment", async () => {
          const fromMs = clock.now();
          let store = seriesStore(backend, clock);
          for (let tick = 0; tick < 130; tick++) {
            if (tick % 17 === 16) store = seriesStore(backend, clock);
            store.append(row(clock.now(), { cpu: tick, 'disk{mount="/"}': tick / 10 }));
            await store.flush();
            await clock.advance(stepMs);
          }
          const other = seriesStore(backend, clock, { node: "prod/node-2" });
          for (const reader of [store, other]) {
            const data = await reader.read(all(fromMs, clock.now()));
            assert.equal(data.timesMs.length, 130);
            assert.deepEqual(
              data.columns.get("cpu"),
              Array.from({ length: 130 }, (_, tick) => tick),
            );
          }
          assert.equal((await backend.readSchemas(node, dayOf(fromMs))).size, 1);
        });

        it("loses nothing when two processes of a node overlap, whichever survives", async () => {
          for (const survivor of [0, 1]) {
            const fromMs = clock.now();
            const stores = [seriesStore(backend, clock)];
            for (let tick = 0; tick < 90; tick++) {
              if (tick === 20) stores.push(seriesStore(backend, clock));
              if (tick === 45) stores.splice(1 - survivor, 1);
              const values = { cpu: tick, [tick % 2 === 0 ? "memory" : 'disk{mount="/"}']: 5 };
              for (const store of stores) store.append(row(clock.now(), values));
              await Promise.all(stores.map((store) => store.flush()));
              await clock.advance(stepMs);
            }
            const other = seriesStore(backend, clock, { node: "prod/node-2" });
            const data = await other.read(all(fromMs, clock.now() - 1));
            assert.deepEqual(
              data.columns.get("cpu"),
              Array.from({ length: 90 }, (_, tick) => tick),
            );
            assert.equal(other.counters().unreadableBlocks, 0);
            await clock.advance(600_000);
          }
        });

        it("keeps each node's rows to itself", async () => {
          const names = ["prod/a", "prod/b", "test/a"];
          const stores = names.map((name) => seriesStore(backend, clock, { node: name }));
          for (const [index, store] of stores.entries()) {
            store.append(row(clock.now(), { cpu: index }));
            await store.flush();
          }
          for (const [index, name] of names.entries()) {
            const query = { ...all(clock.now(), clock.now()), node: name };
            const data = await stores[0]?.read(query);
            assert.deepEqual(data && rowsOf(data), [[clock.now(), { cpu: index }]]);
          }
        });

        it("reads across midnight", async () => {
          await clock.advance(86_400_000 - (clock.now() % 86_400_000) - 30 * stepMs);
          const fromMs = clock.now();
          const store = seriesStore(backend, clock);
          for (let tick = 0; tick < 60; tick++) {
            store.append(row(clock.now(), tick < 30 ? { cpu: tick } : { cpu: tick, memory: tick }));
            await store.flush();
            await clock.advance(stepMs);
          }
          const other = seriesStore(backend, clock, { node: "prod/node-2" });
          const data = await other.read(all(fromMs, clock.now()));
          assert.equal(data.timesMs.length, 60);
          assert.deepEqual(data.columns.get("memory")?.slice(28, 32), [null, null, 30, 31]);
        });
      });
    });
});
