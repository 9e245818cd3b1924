import assert from "node:assert/strict";
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { AgentError } from "../../src/core/errors.ts";
import type { StatePort } from "../../src/core/ports.ts";
import { createLocalFiles } from "../../src/store/local.ts";
import { createMemoryBackend } from "../../src/store/memory/index.ts";
import { States } from "../../src/store/states.ts";
import { systemClock } from "../../src/base/clock.ts";
import { ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

describe("alert states in two places", () => {
  let dir: string;
  let clock: ManualClock;
  let remote: StatePort;
  let away: boolean;

  /** A shared store that can be unreachable, as a stopped Redis is. */
  const reachable = (port: StatePort): StatePort => {
    const check = (): void => {
      if (away) throw new AgentError("STORE_UNAVAILABLE", "connection refused");
    };
    return {
      load: async () => {
        check();
        return port.load();
      },
      save: async (changes) => {
        check();
        await port.save(changes);
      },
    };
  };
  const open = async (where = dir): Promise<States> => {
    const { log } = recordLog();
    const states = new States({
      remote: reachable(remote),
      local: createLocalFiles(where, { log, clock: systemClock }),
      file: "states.json",
      clock,
      log,
    });
    await states.load();
    return states;
  };
  const entries = async (states: States): Promise<Record<string, string>> =>
    Object.fromEntries(await states.port("a:").load());

  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "states-"));
    clock = new ManualClock();
    remote = createMemoryBackend({ clock }).states("c/n");
    away = false;
  });
  afterEach(async () => {
    await rm(dir, { recursive: true, maxRetries: 5 });
  });

  it("survive a restart by the shared store alone", async () => {
    await (await open()).port("a:").save(new Map([["x", "1"]]));
    assert.deepEqual(await entries(await open("/proc/nowhere")), { x: "1" });
  });

  it("survive a restart by the local file alone, and reach the shared store later", async () => {
    away = true;
    await (await open()).port("a:").save(
      new Map([
        ["x", "1"],
        ["y", "2"],
      ]),
    );
    const again = await open();
    assert.deepEqual(await entries(again), { x: "1", y: "2" });
    away = false;
    await again.flush();
    assert.equal((await remote.load()).size, 2);
  });

  it("believe the newer of two places, also about a deletion", async () => {
    const first = await open();
    await first.port("a:").save(
      new Map([
        ["x", "old"],
        ["gone", "old"],
      ]),
    );
    away = true;
    clock.jump(1_000);
    await first.port("a:").save(
      new Map([
        ["x", "new"],
        ["gone", null],
      ]),
    );
    away = false;
    const second = await open();
    assert.deepEqual(await entries(second), { x: "new" });
    await second.flush();
    assert.deepEqual(await entries(await open("/proc/nowhere")), { x: "new" });
  });

  it("do not hold up an alert for a shared store that hangs", async () => {
    const states = new States({
      remote: { load: () => remote.load(), save: () => new Promise(() => undefined) },
      local: createLocalFiles(dir, { log: recordLog().log, clock: systemClock }),
      file: "states.json",
      clock,
      log: recordLog().log,
    });
    const saved = states.port("a:").save(new Map([["x", "1"]]));
    await clock.advance(250);
    await saved;
  });

  it("start empty from garbage, and say so", async () => {
    await writeFile(path.join(dir, "states.json"), '{"a:x": "not stamped"}');
    await remote.save(new Map([["a:y", "garbage"]]));
    const { log, of } = recordLog();
    const states = new States({
      remote,
      local: createLocalFiles(dir, { log, clock: systemClock }),
      file: "states.json",
      clock,
      log,
    });
    await states.load();
    assert.deepEqual(await entries(states), {});
    assert.deepEqual(of("warn"), [
      "local alert states unreadable",
      "alert state unreadable in the store",
    ]);
  });

  it("are readable to their owner only", async () => {
    await (await open()).port("a:").save(new Map([["x", "1"]]));
    assert.equal((await stat(path.join(dir, "states.json"))).mode & 0o777, 0o600);
  });
});

describe("local files", () => {
  it("warn once while a directory cannot be written, and say when it can again", async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), "local-"));
    const { log, of } = recordLog();
    const blocked = path.join(dir, "state");
    await writeFile(blocked, "a file where a directory should be");
    const files = createLocalFiles(blocked, { log, clock: systemClock });
    await files.write("a", "1");
    await files.write("a", "2");
    assert.deepEqual(of("warn"), ["storage.dir not writable; going on in memory"]);
    await rm(blocked);
    await files.write("a", "3");
    assert.equal(await readFile(path.join(blocked, "a"), "utf8"), "3");
    assert.deepEqual(of("info"), ["storage.dir writable again"]);
    await chmod(dir, 0o700);
    await rm(dir, { recursive: true, maxRetries: 5 });
  });

  it("keep the last of many writes at once, whole", async () => {
    const dir = await mkdtemp(path.join(os.tmpdir(), "local-"));
    const files = createLocalFiles(dir, { log: recordLog().log, clock: systemClock });
    await Promise.all(
      Array.from({ length: 50 }, (_, at) => files.write("a", String(at).repeat(1_000))),
    );
    assert.equal(await files.read("a"), "49".repeat(1_000));
    assert.equal(await files.read("missing"), null);
    void files.write("b", "one");
    void files.write("b", "two");
    await files.idle();
    assert.equal(await readFile(path.join(dir, "b"), "utf8"), "two");
    await rm(dir, { recursive: true, maxRetries: 5 });
  });
});
