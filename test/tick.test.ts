import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { Incidents } from "../src/alerts/incidents.ts";
import { defineCollector } from "../src/collect/contract.ts";
import { createCollection } from "../src/collect/runner.ts";
import { Engine } from "../src/rules/engine.ts";
import { parseRules } from "../src/rules/schema.ts";
import type { Backend } from "../src/store/contract.ts";
import { createLocalFiles } from "../src/store/local.ts";
import { createMemoryBackend } from "../src/store/memory/index.ts";
import { States } from "../src/store/states.ts";
import { Ticker } from "../src/tick.ts";
import { recordedHost } from "./collect/support.ts";
import { ManualClock } from "./support/clock.ts";
import { recordLog } from "./support/log.ts";
import { seriesStore } from "./support/store.ts";

const tickMs = 10_000;
const node = { cluster: "prod", name: "node-1", ip: "10.0.0.1" };

/** One run of what judges on a node, with the value of `cpu` in the test's hands. */
async function startRun(
  dir: string,
  backend: Backend,
  clock: ManualClock,
): Promise<{ engine: Engine; tick: (cpu: number) => Promise<string[]> }> {
  const { log } = recordLog();
  const definition = { name: "cpu", unit: "%", decimals: 1, labels: [], help: "" };
  let value = 0;
  const cpu = defineCollector<number>({
    name: "cpu",
    doc: "",
    defaultOn: true,
    indexes: [definition],
    read: () => value,
    readings: (now) => [{ index: "cpu", labels: {}, value: now }],
    families: () => [],
  });
  const collection = createCollection({ host: recordedHost("vm"), collectors: [cpu], clock, log });
  const states = new States({
    remote: backend.states("prod/node-1"),
    local: createLocalFiles(dir, { log, clock }),
    file: "states.json",
    clock,
    log,
  });
  const engine = new Engine({
    node,
    definitions: () => [definition],
    port: states.port("rule:"),
    log,
  });
  let ids = 0;
  const told: string[] = [];
  const incidents = new Incidents({
    clock,
    log,
    port: states.port("incident:"),
    settings: () => ({ cooldownMs: 300_000, repeat: "backoff", sendResolved: true }),
    newId: () => `id-${++ids}`,
    tell: async ({ message, incident }) => {
      if (message !== null) told.push(`${message} ${incident.subject.key}`);
    },
  });
  const ticker = new Ticker({
    collection,
    series: seriesStore(backend, clock),
    engine,
    incidents,
    states,
    clock,
    log,
    intervalMs: () => tickMs,
    writeDelayMs: () => 0,
    onError: (cause) => {
      throw cause;
    },
  });
  await states.load();
  await engine.restore();
  await incidents.restore();
  ticker.beginJudging();
  return {
    engine,
    tick: async (cpuNow) => {
      value = cpuNow;
      await clock.advance(tickMs);
      await ticker.run(clock.now());
      await ticker.idle();
      await states.flush();
      return told.splice(0);
    },
  };
}

describe("one tick after another", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-tick-"));
  });
  afterEach(() => rm(dir, { recursive: true }));

  it("keeps an incident over a restart until the labels of the node are known, and then goes by them", async () => {
    const clock = new ManualClock();
    const backend = createMemoryBackend({ clock });
    const parsed = parseRules(
      [{ name: "hot", index: "cpu", threshold: 80, nodes: { matchLabels: { pool: "gpu" } } }],
      "rules",
    );
    assert.ok(parsed.ok);
    const gpu = { labels: { pool: "gpu" }, taints: [] };
    const first = await startRun(dir, backend, clock);
    first.engine.setRules(parsed.value, true);
    first.engine.setFacts(gpu);
    assert.deepEqual(await first.tick(90), ["firing hot|cpu"]);

    const second = await startRun(dir, backend, clock);
    second.engine.setRules(parsed.value, true);
    assert.deepEqual(await second.tick(10), []);
    second.engine.setFacts(gpu);
    assert.deepEqual(await second.tick(90), []);

    const third = await startRun(dir, backend, clock);
    third.engine.setRules(parsed.value, true);
    assert.deepEqual(await third.tick(90), []);
    third.engine.setFacts({ labels: {}, taints: [] });
    assert.deepEqual(await third.tick(90), ["resolved hot|cpu"]);
    assert.deepEqual(await third.tick(90), []);
  });
});
