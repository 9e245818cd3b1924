import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Receipt } from "../../../src/core/delivery.ts";
import { parseSelector } from "../../../src/core/series.ts";
import type { Backend, SeriesStore } from "../../../src/store/contract.ts";
import { createDirectoryReport } from "../../../src/store/directory.ts";
import { createFileBackend } from "../../../src/store/file/index.ts";
import { expirySeconds } from "../../../src/store/series.ts";
import { dayMs, dayOf } from "../../../src/store/slots.ts";
import { eventually, ManualClock, settle } from "../../support/clock.ts";
import { mountFuse } from "../../support/fuse.ts";
import { receipt } from "../../support/alerts.ts";
import { recordLog } from "../../support/log.ts";
import { row, seriesStore } from "../../support/store.ts";

const node = "prod/node-1";
const stepMs = 10_000;

/** The receipt of a message that arrived. */
function sent(id: string, createdAtMs: number): Receipt {
  const settled = { outcome: "sent", attempts: 1, code: "0", settledAtMs: createdAtMs } as const;
  return receipt(id, { createdAtMs, ...settled });
}

/** A filesystem of its own in memory; needs root. */
function mountTmpfs(dir: string, bytes: number): void {
  const { status, stderr } = spawnSync(
    "mount",
    ["-t", "tmpfs", "-o", `size=${bytes}`, "targetvpc-test", dir],
    { encoding: "utf8" },
  );
  if (status !== 0)
    throw new Error(
      `this test mounts a tmpfs: run as root, in a container with --cap-add SYS_ADMIN: ${stderr}`,
    );
}

function remount(dir: string, how: "ro" | "rw"): void {
  assert.equal(spawnSync("mount", ["-o", `remount,${how}`, dir]).status, 0);
}

describe("file backend", () => {
  let dir: string;
  let clock: ManualClock;
  let stops: (() => unknown)[];
  const open = async (recorded = recordLog()): Promise<Backend> => {
    const { log } = recorded;
    const backend = createFileBackend(
      { dir, report: createDirectoryReport(dir, log) },
      { clock, log, retentionDays: () => 7 },
    );
    stops.push(() => backend.stop());
    backend.start();
    await eventually("it is open", () => backend.status().status !== "starting");
    return backend;
  };
  const cpu = async (
    store: SeriesStore,
    fromMs: number,
    toMs = clock.now(),
  ): Promise<readonly (number | null)[]> => {
    const selectors = [parseSelector("cpu")];
    const data = await store.read({ node, selectors, fromMs, toMs });
    return data.columns.get("cpu") ?? [];
  };
  const files = async (): Promise<string[]> =>
    (await readdir(path.join(dir, "store"), { recursive: true })).sort();

  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "file-backend-"));
    clock = new ManualClock();
    stops = [];
  });
  afterEach(async () => {
    for (const stop of stops.toReversed()) await stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("has everything again in the next process, whether the last one was stopped or killed", async () => {
    const fromMs = clock.now();
    for (let life = 0; life < 4; life++) {
      const backend = await open();
      const store = seriesStore(backend, clock);
      for (let tick = 0; tick < 20; tick++) {
        store.append(row(clock.now(), { cpu: life * 20 + tick }));
        await store.flush();
        await clock.advance(stepMs);
      }
      await backend.states(node).save(new Map([[`rule-${life}`, "firing"]]));
      await backend.putDocument(node, `document-${life}`, "{}");
      await backend.receipts.put(sent(`r${life}`, life));
      await backend.writeTier(node, dayOf(fromMs), new Map([[`t${life}`, Buffer.from("x")]]), 2e9);
      const info = { cluster: "prod", name: "node-1", ip: "10.0.0.1", version: "1" };
      await backend.heartbeat({ ...info, lastSeenMs: clock.now() });
      if (life % 2 === 0) await backend.stop();
    }
    const last = await open();
    const other = seriesStore(last, clock, { node: "prod/other" });
    assert.deepEqual(
      await cpu(other, fromMs),
      Array.from({ length: 80 }, (_, tick) => tick),
    );
    assert.equal((await last.states(node).load()).size, 4);
    assert.equal(await last.getDocument(node, "document-0"), "{}");
    assert.equal(
      (await last.receipts.list({ limit: 9 })).map(({ id }) => id).join(),
      "r3,r2,r1,r0",
    );
    assert.equal((await last.names(node, dayOf(fromMs), "tier")).length, 4);
    assert.equal((await last.nodes()).length, 1);
    assert.deepEqual(await files(), [
      "prod%2Fnode-1",
      `prod%2Fnode-1/${dayOf(fromMs)}-blocks.1.log`,
      `prod%2Fnode-1/${dayOf(fromMs)}-tier.1.log`,
      "small.1.log",
    ]);
  });

  it("loses nothing when two processes of a node overlap, thirty times", async () => {
    const fromMs = clock.now();
    let expected = 0;
    let old: { backend: Backend; store: SeriesStore } | null = null;
    for (let update = 0; update < 30; update++) {
      const backend = await open();
      const fresh = { backend, store: seriesStore(backend, clock) };
      for (let tick = 0; tick < 12; tick++) {
        const both = old === null || tick >= 4 ? [fresh] : [old, fresh];
        for (const { store } of both) store.append(row(clock.now(), { cpu: expected }));
        await Promise.all(both.map(({ store }) => store.flush()));
        if (tick === 4 && update % 2 === 0) await old?.backend.stop();
        expected++;
        await clock.advance(stepMs);
      }
      old = fresh;
    }
    const other = seriesStore(await open(), clock, { node: "prod/other" });
    assert.deepEqual(
      await cpu(other, fromMs),
      Array.from({ length: expected }, (_, tick) => tick),
    );
    assert.equal(other.counters().unreadableBlocks, 0);
  });

  it("lets only one of two processes compact a day", async () => {
    const both = [await open(), await open()];
    const day = dayOf(clock.now());
    const blob = Buffer.from("one");
    await both[0]!.writeBlocks(node, [{ day, block: "1", blob }], () => 2e9);
    const done = await Promise.all(
      both.map((backend, index) =>
        backend.compact(node, day, {
          blocks: new Map([["1", blob]]),
          rows: null,
          columns: new Map([["@rows", Buffer.from(`by ${index}`)]]),
          expireAt: 2e9,
        }),
      ),
    );
    assert.equal(done.filter(Boolean).length, 1);
    const [[rows = null] = []] = await both[0]!.read(node, [
      { part: "columns", day, names: ["@rows"] },
    ]);
    assert.equal(String(rows), `by ${done.indexOf(true)}`);
  });

  it("takes away the files of a day when it expires, and keeps the others", async () => {
    const backend = await open();
    const expireAt = (day: number): number => expirySeconds(node, day, 7);
    const today = dayOf(clock.now());
    for (const day of [today - 1, today]) {
      const writes = [{ day, block: "0", blob: Buffer.from("x") }];
      await backend.writeBlocks(node, writes, expireAt);
      await backend.writeTier(node, day, new Map([["cpu", Buffer.from("x")]]), 2e9);
    }
    await backend.writeBlocks(
      "prod/dead",
      [{ day: today - 1, block: "0", blob: Buffer.from("x") }],
      expireAt,
    );
    await clock.advance(7 * dayMs + 7_200_000);
    const left = [
      "prod%2Fnode-1",
      `prod%2Fnode-1/${today - 1}-tier.1.log`,
      `prod%2Fnode-1/${today}-blocks.1.log`,
      `prod%2Fnode-1/${today}-tier.1.log`,
    ].join();
    await eventually("it is swept", async () => (await files()).join() === left);
    assert.deepEqual(await backend.names(node, today, "blocks"), ["0"]);
  });

  it("forgets what it kept of a node that is gone", async () => {
    const backend = await open();
    const info = { cluster: "prod", name: "dead", ip: "10.0.0.1", version: "1" };
    await backend.heartbeat({ ...info, lastSeenMs: clock.now() });
    await backend.states("prod/dead").save(new Map([["a", "b"]]));
    await backend.putDocument("prod/dead", "effective", "{}");
    await backend.putDocument(node, "effective", "{}");
    await clock.advance(7 * dayMs + 1);
    await backend.heartbeat({ ...info, name: "alive", lastSeenMs: clock.now() });
    assert.equal((await backend.states("prod/dead").load()).size, 0);
    assert.equal(await backend.getDocument("prod/dead", "effective"), null);
    assert.equal(await backend.getDocument(node, "effective"), "{}");
  });

  it("keeps a node with a name longer than a file's may be", async () => {
    const backend = await open();
    const long = `${"集群".repeat(20)}/${"节点".repeat(30)}`;
    const writes = [{ day: 1, block: "0", blob: Buffer.from("x") }];
    await backend.writeBlocks(long, writes, () => 2e9);
    assert.deepEqual(await backend.names(long, 1, "blocks"), ["0"]);
  });

  it("goes on in memory while the disk is full, says so once, and writes everything when there is room", async () => {
    mountTmpfs(dir, 256 * 1024);
    stops.unshift(() => spawnSync("umount", ["-l", dir]));
    const recorded = recordLog();
    const backend = await open(recorded);
    const store = seriesStore(backend, clock);
    const fromMs = clock.now();
    const tick = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        store.append(row(clock.now(), { cpu: (clock.now() - fromMs) / stepMs }));
        await store.flush();
        await clock.advance(stepMs);
      }
    };
    await tick(20);
    const filler = path.join(dir, "filler");
    await writeFile(filler, Buffer.alloc(256 * 1024)).catch(() => undefined);
    await tick(100);
    assert.equal(backend.status().status, "down");
    const epoch = backend.epoch();
    assert.equal((await cpu(store, fromMs)).length, 120, "memory has what the disk has not");
    await assert.rejects(backend.putDocument(node, "effective", "x".repeat(10_000)), {
      code: "STORE_UNAVAILABLE",
    });
    await rm(filler);
    await tick(3);
    await backend.putDocument(node, "effective", "{}");
    assert.equal(backend.status().status, "ok");
    assert.equal(backend.epoch(), epoch + 1);
    await tick(1);
    assert.equal(store.counters().dirtyBlocks, 0);
    const other = seriesStore(await open(), clock, { node: "prod/other" });
    assert.deepEqual(
      await cpu(other, fromMs, clock.now() - 1),
      Array.from({ length: 124 }, (_, n) => n),
    );
    assert.deepEqual(
      recorded.lines.filter(({ level }) => level !== "debug").map(({ event }) => event),
      ["storage.dir not writable; going on in memory", "storage.dir writable again"],
    );
  });

  it("can be read while it cannot be written", async () => {
    mountTmpfs(dir, 1024 * 1024);
    stops.unshift(() => spawnSync("umount", ["-l", dir]));
    const fromMs = clock.now();
    const first = await open();
    const store = seriesStore(first, clock);
    store.append(row(clock.now(), { cpu: 1 }));
    await store.flush();
    await first.states(node).save(new Map([["a", "firing"]]));
    await first.stop();
    remount(dir, "ro");
    const recorded = recordLog();
    const backend = await open(recorded);
    const next = seriesStore(backend, clock);
    await clock.advance(stepMs);
    next.append(row(clock.now(), { cpu: 2 }));
    await next.flush();
    assert.deepEqual(await cpu(next, fromMs), [1, 2]);
    assert.equal((await backend.states(node).load()).get("a"), "firing");
    assert.equal(backend.status().status, "down");
    assert.deepEqual(recorded.of("warn"), ["storage.dir not writable; going on in memory"]);
    remount(dir, "rw");
    await next.flush();
    assert.equal(backend.status().status, "ok");
    const other = seriesStore(await open(), clock, { node: "prod/other" });
    assert.deepEqual(await cpu(other, fromMs), [1, 2]);
  });

  it("lets nobody wait for a disk that does not answer, and works again when it does", async () => {
    const mount = await mountFuse();
    stops.push(() => mount.remove());
    mount.freeze();
    dir = path.join(mount.mountPoint, "state");
    const recorded = recordLog();
    const { log } = recorded;
    const report = createDirectoryReport(dir, log);
    const backend = createFileBackend({ dir, report }, { clock, log, retentionDays: () => 7 });
    backend.start();
    const first = backend.putDocument(node, "effective", "{}");
    await Promise.all([
      assert.rejects(first, { code: "STORE_UNAVAILABLE" }),
      (async () => {
        await settle();
        await clock.advance(3_000);
      })(),
    ]);
    assert.equal(backend.status().status, "down");
    for (let n = 0; n < 3; n++)
      await assert.rejects(backend.getDocument(node, "effective"), /does not answer/);
    assert.deepEqual(recorded.of("warn"), ["storage.dir not writable; going on in memory"]);
    await mount.kill();
    await eventually("it answers, if only with an error", () =>
      backend.putDocument(node, "effective", "{}").then(
        () => false,
        (cause: unknown) => !/does not answer/.test(String(cause)),
      ),
    );
    await backend.stop();
  });

  it("writes everything again when its files were taken away", async () => {
    const recorded = recordLog();
    const backend = await open(recorded);
    const store = seriesStore(backend, clock);
    const fromMs = clock.now();
    for (let n = 0; n < 100; n++) {
      if (n === 80) await rm(path.join(dir, "store"), { recursive: true });
      store.append(row(clock.now(), { cpu: n }));
      await store.flush();
      await clock.advance(stepMs);
    }
    const other = seriesStore(await open(), clock, { node: "prod/other" });
    assert.deepEqual(
      await cpu(other, fromMs),
      Array.from({ length: 100 }, (_, n) => n),
    );
    assert.deepEqual(recorded.of("warn"), ["stored files are gone; writing them again"]);
  });

  it("leaves a day alone that a newer agent has written; the other days can be read and written", async () => {
    const today = dayOf(clock.now());
    const newer = path.join(dir, "store", "prod%2Fnode-1", `${today - 1}-blocks.1.log`);
    await mkdir(path.dirname(newer), { recursive: true });
    await writeFile(newer, "TVPCLOG\u0009 of tomorrow");
    const recorded = recordLog();
    const backend = await open(recorded);
    const write = (day: number): Promise<void> =>
      backend.writeBlocks(node, [{ day, block: "0", blob: Buffer.from("x") }], () => 2e9);
    await write(today);
    await assert.rejects(write(today - 1), { code: "STORE_UNAVAILABLE", message: /newer/ });
    await write(today);
    assert.deepEqual(await backend.names(node, today, "blocks"), ["0"]);
    assert.deepEqual(await backend.names(node, today - 1, "blocks"), []);
    assert.equal(await readFile(newer, "utf8"), "TVPCLOG\u0009 of tomorrow");
    assert.equal(recorded.of("warn").filter((event) => /left alone/.test(event)).length, 1);
  });
});
