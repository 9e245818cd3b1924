import assert from "node:assert/strict";
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Backend, SeriesStore } from "../../src/store/contract.ts";
import { createRedisBackend } from "../../src/store/redis/index.ts";
import { bundleProgram } from "../support/bundle.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { faultsOfTicks, seriesStore, tickRow, tickStartMs, tickStepMs } from "../support/store.ts";

const node = "prod/node-1";

describe("writers of one node", () => {
  let server: TestRedis;
  let dir: string;
  const running: Backend[] = [];

  const open = async (clock: ManualClock, prefix: string): Promise<Backend> => {
    const deps = { clock, log: recordLog().log, retentionDays: () => 7 };
    const backend = createRedisBackend(server.settings({ prefix }), deps);
    running.push(backend);
    backend.start();
    await eventually("redis is connected", () => backend.status().status === "ok");
    return backend;
  };
  const reader = async (prefix: string, lastTick: number): Promise<SeriesStore> => {
    const clock = new ManualClock(tickStartMs + lastTick * tickStepMs);
    return seriesStore(await open(clock, prefix), clock, { node: "prod/reader" });
  };

  before(async () => {
    server = await startRedis();
    dir = await mkdtemp(path.join(tmpdir(), "targetvpc-writers-"));
  });
  after(async () => {
    for (const backend of running) await backend.stop();
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  });

  it("lose nothing that was written when they are killed a hundred times in two thousand ticks", async () => {
    const [prefix, kills, ticks] = ["kills", 100, 2_000];
    const writer = await bundleProgram("writer", dir);
    const launch = (): ChildProcessWithoutNullStreams =>
      spawn(process.execPath, [writer, String(server.port), prefix]);
    const waiting = [launch(), launch()];
    const written: number[] = [];
    try {
      for (let kill = 0; kill < kills; kill++) {
        const child = waiting.shift() ?? launch();
        waiting.push(launch());
        const exited = once(child, "exit");
        let failed = "";
        child.stderr.on("data", (chunk: Buffer) => (failed += chunk.toString()));
        // Somewhere in its share of the ticks, and anywhere between two of them.
        const share = ticks / kills;
        const dieAfter = 1 + Math.floor(Math.random() * 2 * (share - 1));
        const lines = createInterface(child.stdout);
        let count = 0;
        lines.on("line", (line) => {
          written.push(Number(line));
          if (++count === dieAfter)
            setTimeout(() => child.kill("SIGKILL"), Math.floor(Math.random() * 3));
        });
        child.stdin.write(`${(written.at(-1) ?? -1) + 1}\n`);
        await exited;
        assert.equal(failed, "");
      }
      const last = written.at(-1) ?? 0;
      assert.ok(written.length > ticks / 2, `${written.length} ticks`);
      assert.deepEqual(
        [...new Set(written)],
        Array.from({ length: last + 1 }, (_, tick) => tick),
      );
      assert.deepEqual(await faultsOfTicks(await reader(prefix, last), node, written), []);
    } finally {
      for (const child of waiting) child.kill("SIGKILL");
    }
  }).timeout(120_000);

  it("may overlap thirty times, as in a rolling update, whichever of them goes on", async () => {
    const prefix = "overlap";
    const clock = new ManualClock(tickStartMs);
    let old = seriesStore(await open(clock, prefix), clock);
    let tick = 0;
    const pass = async (count: number, ...stores: SeriesStore[]): Promise<void> => {
      for (let end = tick + count; tick < end; tick++) {
        for (const store of stores) store.append(tickRow(tick));
        await Promise.all(stores.map((store) => store.flush()));
        await clock.advance(tickStepMs);
      }
    };
    for (let update = 0; update < 30; update++) {
      await pass(5 + ((update * 17) % 40), old);
      const next = seriesStore(await open(clock, prefix), clock);
      await pass(1 + (update % 9), old, next);
      // Each third time the new one is given up, and the old one goes on.
      if (update % 3 !== 0) old = next;
    }
    await pass(3, old);
    const ticks = Array.from({ length: tick }, (_, at) => at);
    assert.deepEqual(await faultsOfTicks(await reader(prefix, tick), node, ticks), []);
    assert.deepEqual(await faultsOfTicks(old, node, ticks), []);
  }).timeout(60_000);
});
