import assert from "node:assert/strict";
import { createStatfsLanes, type SizeLook, type StatfsAnswer } from "../../src/collect/statfs.ts";
import { ManualClock, settle } from "../support/clock.ts";

const answer: StatfsAnswer = { bsize: 512, blocks: 10, bfree: 5, bavail: 4, files: 3, ffree: 2 };

/** Filesystems that answer when the test says so; those named `ok…` at once. */
function createFilesystems(): {
  statfs: (path: string) => Promise<StatfsAnswer>;
  asked: string[];
  answer(path: string): void;
} {
  const waiting = new Map<string, () => void>();
  const asked: string[] = [];
  return {
    asked,
    statfs: async (path) => {
      asked.push(path);
      if (!path.startsWith("ok"))
        await new Promise<void>((resolve) => {
          waiting.set(path, resolve);
        });
      return answer;
    },
    answer: (path) => waiting.get(path)?.(),
  };
}

const network = (path: string): { path: string; lane: "network" } => ({ path, lane: "network" });
const local = (path: string): { path: string; lane: "local" } => ({ path, lane: "local" });

describe("lanes for statfs", () => {
  it("give sizes in units of frsize, and of bsize where there is none", async () => {
    const sizes = async (one: StatfsAnswer): Promise<number | undefined> => {
      const [look] = await createStatfsLanes(new ManualClock(), async () => one).look([local("x")]);
      return look?.usage?.sizeBytes;
    };
    assert.equal(await sizes(answer), 5_120);
    assert.equal(await sizes({ ...answer, frsize: 4_096 }), 40_960);
    assert.equal(await sizes({ ...answer, frsize: 0 }), 5_120);
  });

  it("give up after 2 s, skip a mount while its call hangs, and ask again when it came back", async () => {
    const clock = new ManualClock();
    const filesystems = createFilesystems();
    const lanes = createStatfsLanes(clock, filesystems.statfs);
    const first = lanes.look([network("dead"), network("ok")]);
    await clock.advance(1_999);
    assert.equal(lanes.stuckCalls(), 0);
    await clock.advance(1);
    const [dead, ok] = await first;
    assert.deepEqual(dead, { usage: null, error: "no answer in 2 s" });
    assert.equal(ok?.error, null);
    assert.equal(lanes.stuckCalls(), 1);

    assert.deepEqual((await lanes.look([network("dead")]))[0], dead, "at once: it is not asked");
    assert.deepEqual(filesystems.asked, ["dead", "ok"]);

    filesystems.answer("dead");
    await settle();
    assert.equal(lanes.stuckCalls(), 0);
    const back = lanes.look([network("dead")]);
    await settle();
    filesystems.answer("dead");
    assert.equal((await back)[0]?.usage?.files, 3);
    assert.equal(clock.waiting, 0, "no timer is left behind");
  });

  it("never have more than two calls of a lane on their way, hanging ones included", async () => {
    const clock = new ManualClock();
    const filesystems = createFilesystems();
    const lanes = createStatfsLanes(clock, filesystems.statfs);
    const look = lanes.look([
      network("d1"),
      network("d2"),
      network("ok1"),
      network("ok2"),
      local("ok3"),
    ]);
    await clock.advance(2_000);
    assert.deepEqual(filesystems.asked, ["d1", "d2", "ok3"]);
    const errors = (await look).map(({ error }) => error);
    const full = "lane is full: 2 calls are stuck";
    assert.deepEqual(errors, ["no answer in 2 s", "no answer in 2 s", full, full, null]);

    const again = lanes.look([network("d1"), network("ok1"), local("ok3")]);
    await clock.advance(2_000);
    assert.deepEqual(
      (await again).map(({ error }) => error),
      ["no answer in 2 s", full, null],
    );
    assert.deepEqual(filesystems.asked, ["d1", "d2", "ok3", "ok3"]);
    assert.equal(lanes.stuckCalls(), 2);
  });

  it("go on with whoever waits as soon as a call comes back", async () => {
    const clock = new ManualClock();
    const filesystems = createFilesystems();
    const lanes = createStatfsLanes(clock, filesystems.statfs);
    const look = lanes.look([network("d1"), network("slow"), network("ok1"), network("ok2")]);
    await clock.advance(1_000);
    filesystems.answer("slow");
    await settle();
    assert.deepEqual(filesystems.asked, ["d1", "slow", "ok1", "ok2"]);
    await clock.advance(1_000);
    assert.deepEqual(
      (await look).map(({ error }) => error),
      ["no answer in 2 s", null, null, null],
    );
  });

  it("report what the system says of a mount that cannot be read, never sizes", async () => {
    const lanes = createStatfsLanes(new ManualClock(), async (path) => {
      throw path === "a"
        ? Object.assign(new Error("denied"), { code: "EACCES" })
        : new Error("odd");
    });
    const expected: SizeLook[] = [
      { usage: null, error: "EACCES" },
      { usage: null, error: "odd" },
    ];
    assert.deepEqual(await lanes.look([local("a"), local("b")]), expected);
  });

  it("have nothing to do for no mounts", async () => {
    const clock = new ManualClock();
    assert.deepEqual(await createStatfsLanes(clock, async () => answer).look([]), []);
    assert.equal(clock.waiting, 0);
  });
});
