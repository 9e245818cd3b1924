import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { Secret } from "../../../src/base/secret.ts";
import type { Receipt } from "../../../src/core/delivery.ts";
import { parseSelector } from "../../../src/core/series.ts";
import { rowsName, type Backend } from "../../../src/store/contract.ts";
import { rights } from "../../../src/store/redis/commands.ts";
import type { RedisSettings } from "../../../src/store/redis/settings.ts";
import { dayOf } from "../../../src/store/slots.ts";
import { eventually, ManualClock } from "../../support/clock.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";
import { startCluster } from "../../support/redis-cluster.ts";
import { connected, RedisBackends } from "../../support/redis-backends.ts";
import { seriesStore, wideRow } from "../../support/store.ts";

const node = "prod/node-1";
const stepMs = 10_000;
const password = "targetvpc-password";

/** The words after ACL of the line in the documentation. */
async function documented(): Promise<string[]> {
  const text = await readFile(new URL("../../../docs/redis.md", import.meta.url), "utf8");
  const line = /^ACL (SETUSER targetvpc .*)$/m.exec(text)?.[1];
  assert.ok(line !== undefined);
  return line.replace(">password", `>${password}`).split(" ");
}

function receipt(id: string, createdAtMs: number): Receipt {
  const kinds = { type: "email", kind: "test", outcome: "sent" } as const;
  const texts = { code: null, message: null, digest: null };
  const base = { alert: "a", channel: "ops", attempts: 1, settledAtMs: null };
  return { id, createdAtMs, ...kinds, ...texts, ...base };
}

/** Does all that a backend is for. */
async function useAll(backend: Backend, clock: ManualClock): Promise<void> {
  const store = seriesStore(backend, clock);
  const fromMs = clock.now();
  for (let tick = 0; tick < 65; tick++) {
    store.append(wideRow(clock.now(), { cpu: tick }));
    await store.flush();
    await clock.advance(stepMs);
  }
  const reader = seriesStore(backend, clock, { node: "prod/reader" });
  const selectors = [parseSelector("cpu")];
  const data = await reader.read({ node, selectors, fromMs, toMs: clock.now() });
  assert.equal(data.timesMs.length, 65);
  const expireAt = Math.floor(clock.now() / 1_000) + 86_400;
  const day = dayOf(fromMs) - 1;
  await backend.writeBlocks(node, [{ day, block: "1", blob: Buffer.from("x") }], () => expireAt);
  const swapped = await backend.compact(node, day, {
    blocks: new Map([["1", Buffer.from("x")]]),
    rows: null,
    columns: new Map([[rowsName, Buffer.from("r")]]),
    expireAt,
  });
  assert.equal(swapped, true);
  // The block is not there any more: it is looked for whether the day was lost.
  await backend.writeBlocks(node, [{ day, block: "1", blob: Buffer.from("x") }], () => expireAt);
  await backend.writeTier(node, day, new Map([["cpu", Buffer.from("t")]]), expireAt);
  assert.deepEqual(await backend.names(node, day, "tier"), ["cpu"]);
  await backend.expireDays(node, "blocks", [day], () => expireAt);
  await backend.states(node).save(new Map([["a", "b"]]));
  await backend.states(node).save(new Map([["a", null]]));
  await backend.states(node).load();
  await backend.putDocument(node, "effective", "{}");
  assert.equal(await backend.getDocument(node, "effective"), "{}");
  const living = { cluster: "prod", name: "node-1", ip: "10.0.0.1", version: "1" };
  const dead = { ...living, name: "dead", lastSeenMs: clock.now() - 30 * 86_400_000 };
  await backend.heartbeat(dead);
  await backend.heartbeat({ ...living, lastSeenMs: clock.now() });
  assert.deepEqual(
    (await backend.nodes()).map(({ name }) => name),
    ["node-1"],
  );
  const { silences } = backend;
  const anything = { node: ["*"], cluster: null, rule: null, index: null, level: null, labels: {} };
  const said = { matchers: anything, author: "ada", comment: "", startsAtMs: 0, createdAtMs: 0 };
  await silences.put({ id: "old", endsAtMs: clock.now() - 30 * 86_400_000, ...said });
  await silences.put({ id: "new", endsAtMs: clock.now() + 1_000, ...said });
  assert.deepEqual(
    (await silences.list()).map(({ id }) => id),
    ["new"],
  );
  const week = 7 * 86_400_000;
  for (const [alert, atMs] of [
    ["old", clock.now() - week],
    ["new", clock.now()],
  ] as const)
    await backend.acknowledgements.put({ id: alert, alert, by: "ada", atMs });
  assert.equal((await backend.acknowledgements.list()).length, 1);
  for (const period of [1, 3]) await backend.signingKeys.settle({ period, value: "k".repeat(43) });
  assert.equal((await backend.signingKeys.list()).length, 1);
  for (let n = 0; n < 1_005; n++) await backend.receipts.put(receipt(`r${n}`, n));
  assert.equal((await backend.receipts.list({ limit: 2_000 })).length, 1_000);
  assert.ok(await backend.aheadMs?.());
}

describe("redis rights", () => {
  let clock: ManualClock;
  let server: TestRedis;

  const backends = new RedisBackends();
  const start = (settings: RedisSettings) => backends.start(settings, clock);
  const asUser = (of: { settings: TestRedis["settings"] }, username: string) =>
    of.settings({ username, password: new Secret(password) });

  before(async () => {
    server = await startRedis();
    await server.client.call("ACL", ...(await documented()));
  });
  after(() => server.stop());
  beforeEach(() => {
    clock = new ManualClock(Math.ceil(Date.now() / 600_000) * 600_000);
  });
  afterEach(async () => {
    await backends.stop();
    await server.client.flushall();
  });

  it("are what the documentation says: with them everything is done, and each of them is used", async () => {
    const { backend, kept } = start({ ...asUser(server, "targetvpc"), db: 1 });
    await connected(backend);
    await eventually("rights were tried", async () => {
      const stats = await server.client.info("commandstats");
      return stats.includes("cmdstat_zremrangebyrank") && stats.includes("cmdstat_hdel");
    });
    await server.client.config("RESETSTAT");
    await useAll(backend, clock);
    assert.deepEqual(await server.client.call("ACL", "LOG"), []);
    assert.deepEqual(kept.lines, []);
    const stats = await server.client.info("commandstats");
    const used = new Set([...stats.matchAll(/^cmdstat_(\S+?):/gm)].map(([, name]) => name));
    const elsewhere = ["cluster|slots", "asking", "select", "ping", "info"];
    const unused = Object.keys(rights).filter((name) => !used.has(name));
    assert.deepEqual(
      unused.filter((name) => !elsewhere.includes(name)),
      [],
    );
    await server.client.select(1);
    assert.deepEqual(await server.client.keys("*:trial:*"), []);
    await server.client.select(0);
  });

  it("are enough in a cluster, also while slots move", async () => {
    const cluster = await startCluster({ masters: 2 });
    try {
      for (const { client } of cluster.servers) await client.call("ACL", ...(await documented()));
      const { backend, kept } = start(asUser(cluster, "targetvpc"));
      await connected(backend);
      await useAll(backend, clock);
      await backend.states(node).save(new Map([["a", "b"]]));
      const slot = await cluster.slotOf(`{${node}}`);
      const owner = await cluster.ownerOf(slot);
      const other = cluster.servers.find((one) => one !== owner)!;
      await cluster.moveSlot(slot, other, async () => {
        await backend.states(node).save(new Map([["c", "d"]]));
        assert.equal((await backend.states(node).load()).get("a"), "b");
      });
      assert.deepEqual(kept.lines, []);
    } finally {
      await cluster.stop();
    }
  }).timeout(60_000);

  it("are named when they are missing, with the line that gives them", async () => {
    const rules = ["+@all", "-hkeys", "-zremrangebyrank", "~targetvpc:*"];
    await server.client.call("ACL", "SETUSER", "few", "on", `>${password}`, ...rules);
    const { backend, kept } = start(asUser(server, "few"));
    await connected(backend);
    await eventually("it is said", () => kept.of("warn").length > 0);
    assert.match(kept.text(), /ACL SETUSER <user> \+hkeys \+zremrangebyrank"/);
    assert.match(backend.status().details?.["rights"] ?? "", /\+hkeys \+zremrangebyrank/);
    await assert.rejects(backend.names(node, 1, "tier"), /NOPERM/);
    assert.equal(kept.of("warn").length, 1, "once");
    await server.client.call("ACL", "SETUSER", "few", "-hset");
    await assert.rejects(backend.putDocument(node, "effective", "{}"), /NOPERM/);
    assert.match(kept.text(), /ACL SETUSER <user> \+hkeys \+zremrangebyrank \+hset"/);
  });

  it("to keys are named too", async () => {
    const rules = ["+@all", "~other:*"];
    await server.client.call("ACL", "SETUSER", "other", "on", `>${password}`, ...rules);
    const { backend, kept } = start(asUser(server, "other"));
    await connected(backend);
    await eventually("it is said", () => kept.of("warn").length > 0);
    assert.match(kept.text(), /ACL SETUSER <user> ~targetvpc:\*"/);
  });

  it("to INFO and TIME are not needed", async () => {
    const words = (await documented()).filter((word) => word !== "+info" && word !== "+time");
    words[1] = "silent";
    await server.client.call("ACL", ...words);
    const { backend, kept } = start(asUser(server, "silent"));
    await connected(backend);
    await backend.putDocument(node, "effective", "{}");
    assert.equal(await backend.aheadMs?.(), null);
    assert.deepEqual(kept.of("warn"), []);
    assert.equal(backend.status().status, "ok");
  });

  it("to another database are not taken for granted: nothing is written to the wrong one", async () => {
    const words = (await documented()).filter((word) => word !== "+select");
    words[1] = "zero";
    await server.client.call("ACL", ...words);
    const { backend, kept } = start({ ...asUser(server, "zero"), db: 2 });
    await eventually("it is down", () => backend.status().status === "down");
    assert.match(kept.text(), /NOPERM.*select/);
    await assert.rejects(backend.putDocument(node, "effective", "{}"));
    assert.equal(await server.client.dbsize(), 0);
  });
});
