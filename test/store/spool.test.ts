import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import type { Job } from "../../src/core/delivery.ts";
import { createLocalFiles } from "../../src/store/local.ts";
import { createMemoryOutbox } from "../../src/store/memory/outbox.ts";
import { createSpooledOutbox, type SpooledOutbox } from "../../src/store/spool.ts";
import { eventually } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { incident } from "../support/view.ts";

function job(id: string): Job {
  const message = {
    id,
    kind: "firing",
    atMs: 1,
    incident: incident(),
    recent: [1, null],
    recentStepMs: 10_000,
    evidence: null,
    publicUrl: null,
  } as const;
  return { id, channel: "ops", message, createdAtMs: 1, attempts: 0, notBeforeMs: 1 };
}

describe("spooled outbox", () => {
  let dir: string;
  const open = (log = recordLog().log): SpooledOutbox =>
    createSpooledOutbox(createMemoryOutbox(), {
      local: createLocalFiles(dir, { log, clock: systemClock }),
      file: "outbox.json",
      log,
    });
  const saved = async (): Promise<string[]> =>
    (
      JSON.parse(await readFile(path.join(dir, "outbox.json"), "utf8").catch(() => "[]")) as Job[]
    ).map(({ id }) => id);

  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "spool-"));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, maxRetries: 5 });
  });

  it("gives the next run what this one had not sent", async () => {
    const first = open();
    await first.enqueue(job("a"));
    await first.enqueue(job("b"));
    await first.defer({ ...job("b"), attempts: 3, notBeforeMs: 9 });
    await first.remove(job("a"));
    await eventually("the file is written", async () => (await saved()).join() === "b");
    const second = open();
    await second.load();
    assert.deepEqual(await second.due("ops", 10, 10), [
      { ...job("b"), attempts: 3, notBeforeMs: 9 },
    ]);
    await second.remove(job("b"));
    await eventually("the file is empty", async () => (await saved()).length === 0);
  });

  it("reads what an older version kept, and drops no message for evidence it cannot read", async () => {
    const use = { pid: 7, name: "stress", value: 98, unit: "%", owner: null } as const;
    const { evidence: _none, ...older } = job("old").message;
    const stall = { avg10: 43.2, avg60: 1 };
    const pressure = { cpu: { some: stall, full: null }, io: { some: stall, full: stall } };
    const kept = [
      { ...job("old"), message: older },
      { ...job("odd"), message: { ...older, evidence: [{ ...use, unit: "MB" }] } },
      { ...job("list"), message: { ...older, evidence: [use] } },
      { ...job("new"), message: { ...older, evidence: { processes: [use], pressure } } },
      { ...job("alone"), message: { ...older, evidence: { processes: null, pressure } } },
      { ...job("none"), message: { ...older, evidence: { processes: [use], pressure: null } } },
      { ...job("bad"), message: { ...older, evidence: { processes: [use], pressure: { io: 1 } } } },
    ];
    await writeFile(path.join(dir, "outbox.json"), JSON.stringify(kept));
    const outbox = open();
    await outbox.load();
    const found = await outbox.due("ops", 10, 10);
    assert.deepEqual(
      found.map(({ id, message }) => [id, message.evidence]),
      [
        ["old", null],
        ["odd", null],
        ["list", { processes: [use], pressure: null }],
        ["new", { processes: [use], pressure }],
        ["alone", { processes: null, pressure }],
        ["none", { processes: [use], pressure: null }],
        ["bad", null],
      ],
    );
  });

  it("starts empty from garbage, and says so without showing it", async () => {
    for (const garbage of ["{hunter2", '[{"id":"hunter2"}]']) {
      await writeFile(path.join(dir, "outbox.json"), garbage);
      const { log, of, text } = recordLog();
      const outbox = open(log);
      await outbox.load();
      assert.equal((await outbox.depth()).size, 0);
      assert.deepEqual(of("warn"), ["messages of an earlier run unreadable"]);
      assert.doesNotMatch(text(), /hunter2/);
    }
  });
});
