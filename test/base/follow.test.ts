import assert from "node:assert/strict";
import {
  chmod,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fingerprint, followFiles } from "../../src/base/follow.ts";
import type { Running } from "../../src/core/ports.ts";
import { ManualClock } from "../support/clock.ts";
import { publish } from "../support/mount.ts";

const fail = (cause: unknown): never => assert.fail(String(cause));

describe("following files", () => {
  let dir: string;
  let clock: ManualClock;
  let told: number;
  let running: Running;
  const at = (name: string): string => path.join(dir, name);
  const follow = (...names: string[]): void => {
    running = followFiles(clock, names.map(at), () => void (told += 1), fail);
  };
  /** Two looks a second apart, and one more after the first that saw something. */
  const pass = async (): Promise<number> => {
    await clock.advance(1_250);
    const since = told;
    told = 0;
    return since;
  };

  beforeEach(async () => {
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-follow-"));
    clock = new ManualClock();
    told = 0;
  });
  afterEach(async () => {
    await running.stop();
    assert.equal(clock.waiting, 0, "a timer was left behind");
    await rm(dir, { recursive: true });
  });

  it("tells of an edit once, and of nothing while nothing changes", async () => {
    await writeFile(at("a"), "1");
    follow("a");
    assert.equal(await pass(), 0);
    await writeFile(at("a"), "2");
    assert.equal(await pass(), 1);
    assert.equal(await pass(), 0);
  });

  it("tells of a file that is renamed over it, even with its old date and size", async () => {
    await writeFile(at("a"), "1");
    await utimes(at("a"), 1, 1);
    follow("a");
    await writeFile(at("b"), "2");
    await utimes(at("b"), 1, 1);
    await rename(at("b"), at("a"));
    assert.equal(await pass(), 1);
  });

  it("tells of a file that goes, that comes, that comes back, and whose rights change", async () => {
    follow("a");
    await writeFile(at("a"), "1");
    assert.equal(await pass(), 1);
    await unlink(at("a"));
    assert.equal(await pass(), 1);
    await writeFile(at("a"), "1");
    assert.equal(await pass(), 1);
    await chmod(at("a"), 0o600);
    assert.equal(await pass(), 1);
  });

  it("waits until a file is at rest", async () => {
    await writeFile(at("a"), "");
    follow("a");
    await clock.advance(750);
    for (let size = 1; size < 20; size++) {
      await writeFile(at("a"), "x".repeat(size));
      await clock.advance(250);
      assert.equal(told, 0, `read while ${size} bytes were written`);
    }
    await clock.advance(250);
    assert.equal(told, 1);
  });

  it("sees through the links of a mounted ConfigMap", async () => {
    await publish(dir, "..1", { "config.yaml": "1" });
    follow("config.yaml");
    assert.equal(await pass(), 0);
    await publish(dir, "..2", { "config.yaml": "2" });
    assert.equal(await pass(), 1);
    await rm(at("..1"), { recursive: true });
    assert.equal(await pass(), 0, "the old version was tidied up, nothing more");
  });

  it("takes a directory for its visible entries", async () => {
    await publish(dir, "..1", { a: "1", b: "1" });
    follow("");
    await writeFile(at(".a.swp"), "an editor's");
    assert.equal(await pass(), 0);
    await publish(dir, "..2", { a: "1", b: "2" });
    assert.equal(await pass(), 1);
    await publish(dir, "..3", { a: "1", b: "2", c: "3" });
    assert.equal(await pass(), 1);
    await unlink(at("c"));
    assert.equal(await pass(), 1);
    await rm(dir, { recursive: true });
    assert.equal(await pass(), 1);
    await mkdir(dir);
    assert.equal(await pass(), 1);
  });

  it("has no trouble with links that lead nowhere or in a circle, and with files below files", async () => {
    await symlink("circle", at("circle"));
    await symlink("nowhere", at("dangling"));
    await writeFile(at("file"), "");
    follow("circle", "dangling", "file/below");
    assert.equal(await pass(), 0);
    await writeFile(at("nowhere"), "");
    assert.equal(await pass(), 1);
  });

  it("takes another list of files for a change: what is new in it may have changed before the first look", async () => {
    const paths = [at("a")];
    running = followFiles(
      clock,
      () => paths,
      () => void (told += 1),
      fail,
    );
    assert.equal(await pass(), 0);
    paths.push(at("b"));
    assert.equal(await pass(), 1);
    assert.equal(await pass(), 0);
  });

  it("goes on when what is done about a change fails, and says so", async () => {
    const failed: string[] = [];
    await writeFile(at("a"), "1");
    running = followFiles(
      clock,
      [at("a")],
      async () => {
        told += 1;
        if (told === 1) throw new Error("no such luck");
      },
      (cause) => void failed.push(String(cause)),
    );
    await writeFile(at("a"), "2");
    await clock.advance(1_250);
    await writeFile(at("a"), "3");
    await clock.advance(1_250);
    assert.equal(told, 2);
    assert.deepEqual(failed, ["Error: no such luck"]);
  });

  it("sees what changes while the last change is dealt with", async () => {
    await writeFile(at("a"), "1");
    const busy = Promise.withResolvers<undefined>();
    const onChange = (): Promise<void> => {
      told += 1;
      return busy.promise;
    };
    running = followFiles(clock, [at("a")], onChange, fail);
    await writeFile(at("a"), "2");
    assert.equal(await pass(), 1);
    await writeFile(at("a"), "3");
    assert.equal(await pass(), 0, "two at a time");
    busy.resolve(undefined);
    assert.equal(await pass(), 1);
  });

  it("costs next to nothing", async () => {
    await publish(dir, "..1", { a: "", b: "", c: "", d: "", e: "", f: "" });
    follow();
    const files = ["a", "b", "c", "d", "e", "f"].map(at);
    for (let i = 0; i < 500; i++) fingerprint(files);
    const looks = 2_000;
    const before = process.cpuUsage();
    for (let i = 0; i < looks; i++) fingerprint(files);
    const { user, system } = process.cpuUsage(before);
    // Some 20 µs on a quiet machine; ten times that would be another way of looking.
    assert.ok((user + system) / looks < 200, `${(user + system) / looks} µs`);
  });
});
