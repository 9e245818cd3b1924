import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import dns from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { deflate } from "node:zlib";
import { systemClock } from "../../src/base/clock.ts";
import { createHost, type LocalHost } from "../../src/collect/host.ts";
import { collectors } from "../../src/collect/index.ts";
import { createCollection } from "../../src/collect/runner.ts";
import { eventually, settle } from "../support/clock.ts";
import { type FuseMount, mountFuse } from "../support/fuse.ts";
import { createTestLog } from "./support.ts";

/** The real clock, which a test can put ahead so that no look is shared; sleeping takes as long as it takes. */
function createClock(): typeof systemClock & { skip(ms: number): void } {
  let skippedMs = 0;
  return {
    ...systemClock,
    monotonic: () => systemClock.monotonic() + skippedMs,
    skip: (ms) => {
      skippedMs += ms;
    },
  };
}

async function timed<T>(work: Promise<T>): Promise<{ result: T; ms: number }> {
  const startMs = performance.now();
  const result = await work;
  return { result, ms: performance.now() - startMs };
}

describe("a FUSE mount whose server is dead", function () {
  this.timeout(30_000);
  let mounts: FuseMount[];
  beforeEach(async () => {
    mounts = [];
    for (let i = 0; i < 3; i++) mounts.push(await mountFuse());
    // Mounts are asked in the order of their names.
    mounts.sort((a, b) => (a.mountPoint < b.mountPoint ? -1 : 1));
  });
  afterEach(async () => {
    for (const mount of mounts) await mount.remove();
  });

  const looking = (): {
    look: () => Promise<ReadonlyMap<string, number | null>>;
    error: (mount: FuseMount) => Promise<string | null | undefined>;
    host: LocalHost;
  } => {
    const clock = createClock();
    const host = createHost({ roots: { proc: "/proc", sys: "/sys", root: "/" }, clock });
    const collection = createCollection({ host, collectors, clock, log: createTestLog() });
    return {
      host,
      look: async () => {
        clock.skip(1_000);
        return (await collection.collect(0)).values;
      },
      // The look of the row before is shared.
      error: async ({ mountPoint }) =>
        (await host.filesystems()).find((one) => one.mountPoint === mountPoint)?.error,
    };
  };
  const disk = ({ mountPoint }: FuseMount): string => `disk{mount="${mountPoint}"}`;
  const inodes = ({ mountPoint }: FuseMount): string => `inodes{mount="${mountPoint}"}`;

  it("is null with its error, while everything else is right and prompt, and is back when the server is", async () => {
    const [first, second, third] = mounts as [FuseMount, FuseMount, FuseMount];
    const { look, error, host } = looking();
    const well = await look();
    for (const mount of mounts) {
      // 400,000 used blocks, 500,000 available; 250 of 1,000 inodes.
      assert.equal(well.get(disk(mount)), 44.4);
      assert.equal(well.get(inodes(mount)), 25);
    }

    first.freeze();
    const { result: hurt, ms } = await timed(look());
    assert.ok(ms < 2_500, `took ${ms} ms`);
    assert.equal(hurt.get(disk(first)), null);
    assert.equal(hurt.get(inodes(first)), null);
    assert.equal(await error(first), "no answer in 2 s");
    assert.equal(hurt.get(disk(second)), 44.4);
    assert.equal(hurt.get(disk(third)), 44.4);
    const df = execFileSync("df", ["-kP", "/"], { encoding: "utf8" });
    const [, used, available] = /\s(\d+)\s+(\d+)\s+\d+%\s+\/$/m.exec(df)?.map(Number) ?? [];
    const expected = (100 * used!) / (used! + available!);
    assert.ok(Math.abs((hurt.get("disk") ?? -1) - expected) < 1);
    assert.equal(typeof hurt.get("memory"), "number");
    assert.equal(host.stuckCalls(), 1);

    const { result: skipped, ms: skippedMs } = await timed(look());
    assert.ok(skippedMs < 500, `a mount known to hang cost ${skippedMs} ms`);
    assert.equal(skipped.get(disk(first)), null);
    assert.equal(skipped.get(disk(second)), 44.4);

    first.thaw();
    await eventually("the stuck call comes back", () => host.stuckCalls() === 0);
    const back = await look();
    assert.equal(back.get(disk(first)), 44.4);
    assert.equal(await error(first), null);
  });

  it("costs only its lane when there are two: the thread pool serves files, names and compression", async () => {
    const [first, second, third] = mounts as [FuseMount, FuseMount, FuseMount];
    const { look, error, host } = looking();
    first.freeze();
    second.freeze();
    const { result, ms } = await timed(look());
    assert.ok(ms < 2_500, `took ${ms} ms`);
    assert.equal(host.stuckCalls(), 2);
    assert.equal(result.get(disk(first)), null);
    assert.equal(result.get(disk(second)), null);
    assert.equal(result.get(disk(third)), null);
    assert.equal(await error(third), "lane is full: 2 calls are stuck");
    assert.equal(typeof result.get("disk"), "number");

    // All of these need a thread of libuv's pool, which has four unless UV_THREADPOOL_SIZE says otherwise.
    const served = Promise.all([
      readFile("/proc/self/stat", "utf8"),
      dns.lookup("localhost"),
      promisify(deflate)(Buffer.alloc(100_000)),
      readFile(import.meta.filename, "utf8"),
    ]);
    const { ms: servedMs } = await timed(served);
    assert.ok(servedMs < 1_000, `took ${servedMs} ms`);

    await look();
    assert.equal(host.stuckCalls(), 2, "no call is added while they hang");

    first.thaw();
    second.thaw();
    await eventually("the stuck calls come back", () => host.stuckCalls() === 0);
    await settle();
    const back = await look();
    for (const mount of mounts) assert.equal(back.get(disk(mount)), 44.4);
  });

  it("is an error, not a size, when its server has died", async () => {
    const [first] = mounts as [FuseMount];
    const { look, error } = looking();
    await first.kill();
    const values = await look();
    assert.equal(values.get(disk(first)), null);
    assert.equal(await error(first), "ENOTCONN");
  });
});
