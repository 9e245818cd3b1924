import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createHost, type LocalHost } from "../../src/collect/host.ts";
import { createStatfsLanes } from "../../src/collect/statfs.ts";
import { ManualClock, settle } from "../support/clock.ts";
import { cannedStatfs, recordedHost, unreadable } from "./support.ts";

describe("host", () => {
  let proc: string;
  beforeEach(async () => {
    proc = await mkdtemp(path.join(os.tmpdir(), "proc-"));
    await mkdir(path.join(proc, "self"));
  });
  afterEach(() => rm(proc, { recursive: true }));

  const write = (name: string, text: string): Promise<void> =>
    writeFile(path.join(proc, name), text);
  const host = (root: string, clock = new ManualClock()): LocalHost & { asked: string[] } => {
    const asked: string[] = [];
    const created = createHost({
      roots: { proc, sys: "/sys", root },
      clock,
      statfs: (at) => {
        asked.push(at);
        return cannedStatfs(at);
      },
    });
    return Object.assign(created, { asked });
  };

  it("names the file it cannot read, and why", () => {
    const file = path.join(proc, "stat").replaceAll(".", "\\.");
    assert.throws(
      () => host("/").readProc("stat"),
      unreadable(new RegExp(`cannot read ${file}: ENOENT`)),
    );
  });

  it("reads only the beginning of a file when that is enough", async () => {
    await write("stat", "cpu 1 2 3\n");
    assert.equal(host("/").readProc("stat", 5), "cpu 1");
    assert.equal(host("/").readProc("stat", 4_096), "cpu 1 2 3\n");
    assert.throws(() => host("/").readProc("none", 5), unreadable(/cannot read .*none: ENOENT/));
  });

  it("asks for sizes below its root and names mounts as the host does", async () => {
    await mkdir(path.join(proc, "1"));
    await write(
      "1/mountinfo",
      "1 2 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /data rw - ext4 /dev/b rw\n",
    );
    const contained = host("/host/root");
    const places = (await contained.filesystems()).map(({ mountPoint }) => mountPoint);
    assert.deepEqual(places, ["/", "/data"]);
    assert.deepEqual(contained.asked, ["/host/root/", "/host/root/data"]);
  });

  it("falls back to its own mounts when those of process 1 are hidden", async () => {
    await write(
      "self/mountinfo",
      "1 2 0:9 / / rw - overlay overlay rw\n2 1 8:1 / /host/root ro - ext4 /dev/a rw\n3 2 8:2 / /host/root/data rw - xfs /dev/b rw\n",
    );
    const contained = host("/host/root");
    const found = (await contained.filesystems()).map(
      ({ mountPoint, type }) => `${mountPoint} ${type}`,
    );
    assert.deepEqual(found, ["/ ext4", "/data xfs"]);
    assert.deepEqual(contained.asked, ["/host/root/", "/host/root/data"]);
    assert.deepEqual(
      (await host("/").filesystems()).map(({ mountPoint }) => mountPoint),
      ["/", "/host/root", "/host/root/data"],
    );
  });

  it("rejects when there is no list of mounts, or a garbled one", async () => {
    await assert.rejects(host("/").filesystems(), unreadable(/self\/mountinfo/));
    await write("self/mountinfo", "garbage\n");
    await assert.rejects(host("/").filesystems(), unreadable(/mountinfo: expected/));
  });

  it("shares one look at the filesystems for a second, and one on its way with everybody", async () => {
    await write("self/mountinfo", "1 2 8:1 / / rw - ext4 /dev/a rw\n");
    const clock = new ManualClock();
    const one = host("/", clock);
    const [a, b] = await Promise.all([one.filesystems(), one.filesystems()]);
    assert.equal(a, b);
    await clock.advance(999);
    assert.equal(await one.filesystems(), a);
    assert.equal(one.asked.length, 1);
    await clock.advance(1);
    assert.notEqual(await one.filesystems(), a);
    assert.equal(one.asked.length, 2);
  });

  it("counts calls that hang", async () => {
    await write("self/mountinfo", "1 2 8:1 / / rw - ext4 /dev/a rw\n");
    const clock = new ManualClock();
    const roots = { proc, sys: "/sys", root: "/" };
    const hanging = createHost({ roots, clock, statfs: () => new Promise(() => undefined) });
    const look = hanging.filesystems();
    await settle();
    await clock.advance(1_500);
    const shared = hanging.filesystems();
    await clock.advance(500);
    assert.equal((await look)[0]?.error, "no answer in 2 s");
    assert.equal(await shared, await look);
    assert.equal(hanging.stuckCalls(), 1);
  });

  it("asks nothing again that hangs already for a host before it", async () => {
    await write("self/mountinfo", "1 2 8:1 / / rw - ext4 /dev/a rw\n");
    const clock = new ManualClock();
    let asked = 0;
    const lanes = createStatfsLanes(clock, () => {
      asked += 1;
      return new Promise(() => undefined);
    });
    const roots = { proc, sys: "/sys", root: "/" };
    const first = createHost({ roots, clock, lanes }).filesystems();
    await settle();
    await clock.advance(2_000);
    await first;
    const second = createHost({ roots, clock, lanes });
    assert.equal((await second.filesystems())[0]?.error, "no answer in 2 s");
    assert.equal(asked, 1);
    assert.equal(second.stuckCalls(), 1);
  });

  it("reads a recorded host", () => {
    assert.match(recordedHost("vm").readProc("stat"), /^cpu /);
  });
});
