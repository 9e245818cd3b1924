/** What the agent costs a node: size, start, memory, CPU of a tick and of a scrape, beside node_exporter. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { systemClock } from "../src/base/clock.ts";
import { createRedactor } from "../src/base/secret.ts";
import { createParts } from "../src/parts.ts";
import { loadSettings } from "../src/settings.ts";
import { freePort, startRedis } from "../test/support/redis.ts";

const bundle = new URL("../dist/targetvpc.mjs", import.meta.url).pathname;
/** As in the Dockerfile. */
const flags = [
  "--max-semi-space-size=1",
  "--optimize-for-size",
  "--v8-pool-size=1",
  "--max-old-space-size=64",
];
const liveSeconds = 60;
const scrapes = 200;

function say(what: string, figure: string): void {
  console.log(`${what.padEnd(58)} ${figure}`);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** One request over a kept connection, so that scrapes are compared and not connections. */
const kept = new http.Agent({ keepAlive: true, maxSockets: 1 });
async function get(url: string): Promise<{ status: number; text: string }> {
  const request = http.get(url, { agent: kept });
  const [reply] = (await once(request, "response")) as [http.IncomingMessage];
  let text = "";
  for await (const chunk of reply as AsyncIterable<Buffer>) text += chunk.toString();
  return { status: reply.statusCode ?? 0, text };
}

async function answers(url: string): Promise<boolean> {
  return get(url).then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function until(check: () => Promise<boolean>): Promise<void> {
  while (!(await check())) await systemClock.sleep(2);
}

async function memoryMb(pid: number): Promise<{ rss: number; anon: number; peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  const field = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1]) / 1_024;
  return { rss: field("VmRSS"), anon: field("RssAnon"), peak: field("VmHWM") };
}

/** CPU seconds of a process by its own counters in /proc. */
async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

async function size(): Promise<void> {
  const dir = path.dirname(bundle);
  const parts = await readdir(path.join(dir, "parts"));
  const late = await Promise.all(
    parts.map(async (file) => (await stat(path.join(dir, "parts", file))).size),
  );
  say(
    "bundle / loaded late",
    `${((await stat(bundle)).size / 1e3).toFixed(0)} kB / ${(late.reduce((a, b) => a + b, 0) / 1e3).toFixed(0)} kB`,
  );
}

function launch(port: number, env: Record<string, string>): ChildProcess {
  return spawn(process.execPath, [...flags, bundle], {
    cwd: os.tmpdir(),
    env: {
      PATH: process.env["PATH"],
      SERVER_PORT: String(port),
      SERVER_HOST: "127.0.0.1",
      MALLOC_ARENA_MAX: "1",
      ...env,
    },
    stdio: "ignore",
  });
}

async function end(child: ChildProcess): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  await gone;
}

async function start(env: Record<string, string>): Promise<void> {
  const times: number[] = [];
  for (let run = 0; run < 7; run++) {
    const port = await freePort();
    const startedMs = performance.now();
    const child = launch(port, env);
    await until(() => answers(`http://127.0.0.1:${port}/ready`));
    times.push(performance.now() - startedMs);
    await end(child);
  }
  say(
    "start to first sample and /ready (median of 7)",
    `${median(times).toFixed(0)} ms   (limit 500)`,
  );
}

/** A bare HTTP server of the same Node, for the floor. */
async function bareServer(): Promise<number> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [
      ...flags,
      "-e",
      `require("http").createServer((q, r) => r.end("ok")).listen(${port}, "127.0.0.1")`,
    ],
    {
      env: { MALLOC_ARENA_MAX: "1" },
      stdio: "ignore",
    },
  );
  await until(() => answers(`http://127.0.0.1:${port}/`));
  for (let i = 0; i < 200; i++) await get(`http://127.0.0.1:${port}/`);
  const { rss } = await memoryMb(child.pid ?? 0);
  await end(child);
  return rss;
}

async function live(env: Record<string, string>): Promise<void> {
  const port = await freePort();
  const child = launch(port, { ...env, METRICS_COLLECTION_INTERVAL: "1" });
  const base = `http://127.0.0.1:${port}`;
  await until(() => answers(`${base}/ready`));
  const before = await cpuSeconds(child.pid ?? 0);
  for (let second = 0; second < liveSeconds; second++) {
    await get(`${base}/metrics`);
    await get(`${base}/api/metrics?start=-10m&index=cpu,memory,disk`);
    await get(`${base}/health`);
    await systemClock.sleep(1_000);
  }
  const { rss, anon, peak } = await memoryMb(child.pid ?? 0);
  const cpu = (await cpuSeconds(child.pid ?? 0)) - before;
  await end(child);
  const bare = await bareServer();
  say(
    `live ${liveSeconds} s: 1 s ticks into Redis, a scrape and two reads a second`,
    `RSS ${rss.toFixed(0)} MB, anonymous ${anon.toFixed(0)}, peak ${peak.toFixed(0)}   (limit 80)`,
  );
  say(
    "  against a bare HTTP server of the same Node",
    `${bare.toFixed(0)} MB: ${(rss / bare).toFixed(2)} times   (limit 1.5)`,
  );
  say("  CPU of all that", `${((cpu / liveSeconds) * 100).toFixed(2)} % of a core`);
}

/** CPU of collect + store + judge, in this process, with the blocks really sent. */
async function tick(redisPort: number, dir: string): Promise<number> {
  const env = { REDIS_PORT: String(redisPort), REDIS_PREFIX: "tick", LOG_LEVEL: "error" };
  const settings = await loadSettings(null, env);
  const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
  const parts = createParts({
    settings,
    clock: systemClock,
    log: silent,
    redactor: createRedactor(),
    random: Math.random,
    stateDir: dir,
  });
  parts.inForce.onChange((policy) =>
    parts.engine.setRules(
      policy.rules.map(({ value }) => value),
      true,
    ),
  );
  parts.inForce.takeFile();
  parts.storage.backend.start();
  await until(async () => parts.storage.backend.status().status === "ok");
  parts.ticker.beginJudging();
  const slotMs = Math.floor(Date.now() / 600_000) * 600_000;
  const run = async (from: number, count: number): Promise<void> => {
    for (let at = from; at < from + count; at++) {
      await parts.ticker.run(slotMs + at * 10_000);
      await parts.ticker.idle();
      // The tick has begun to send its block; it is not asked for a second time.
      await systemClock.sleep(5);
    }
  };
  await run(0, 120);
  const before = process.cpuUsage();
  await run(120, 300);
  const { user, system } = process.cpuUsage(before);
  await parts.storage.backend.stop();
  return (user + system) / 1e3 / 300;
}

async function scrapeCost(pid: number, url: string): Promise<{ ms: number; lines: number }> {
  for (let i = 0; i < 20; i++) await get(url);
  const before = await cpuSeconds(pid);
  let lines = 0;
  for (let i = 0; i < scrapes; i++) lines = (await get(url)).text.split("\n").length;
  return { ms: (((await cpuSeconds(pid)) - before) * 1e3) / scrapes, lines };
}

const sameFamilies = [
  "--collector.disable-defaults",
  "--collector.cpu",
  "--collector.meminfo",
  "--collector.loadavg",
  "--collector.filesystem",
  "--collector.stat",
];

async function exporterCost(
  args: readonly string[],
): Promise<{ ms: number; rss: number; lines: number }> {
  const port = await freePort();
  const child = spawn(
    "prometheus-node-exporter",
    [`--web.listen-address=127.0.0.1:${port}`, "--web.disable-exporter-metrics", ...args],
    { stdio: "ignore" },
  );
  const url = `http://127.0.0.1:${port}/metrics`;
  await until(() => answers(url));
  const cost = await scrapeCost(child.pid ?? 0, url);
  const { rss } = await memoryMb(child.pid ?? 0);
  await end(child);
  return { ...cost, rss };
}

async function ownScrape(env: Record<string, string>): Promise<{ ms: number; lines: number }> {
  const port = await freePort();
  const child = launch(port, { ...env, METRICS_COLLECTION_INTERVAL: "300" });
  await until(() => answers(`http://127.0.0.1:${port}/ready`));
  const cost = await scrapeCost(child.pid ?? 0, `http://127.0.0.1:${port}/metrics`);
  await end(child);
  return cost;
}

/** All figures of the agent on this machine, the rival's in the same run. */
export async function agent(): Promise<void> {
  execFileSync(process.execPath, ["scripts/build.ts"], { stdio: "inherit" });
  const redis = await startRedis();
  const dir = await mkdtemp(path.join(os.tmpdir(), "targetvpc-bench-"));
  const env = { REDIS_PORT: String(redis.port), STORAGE_DIR: dir };
  try {
    await size();
    await start(env);
    await live(env);
    const tickMs = await tick(redis.port, dir);
    say("one tick: collect, store, judge", `${tickMs.toFixed(2)} ms of CPU`);
    const own = await ownScrape(env);
    say("GET /metrics", `${own.ms.toFixed(2)} ms of CPU, ${own.lines} lines`);
    const same = await exporterCost(sameFamilies);
    say(
      "  node_exporter, the same families",
      `${same.ms.toFixed(2)} ms, ${same.lines} lines: ${(own.ms / same.ms).toFixed(2)} times   (limit 0.6)`,
    );
    const all = await exporterCost([]);
    say(
      "  node_exporter, its default families",
      `${all.ms.toFixed(2)} ms, ${all.lines} lines, RSS ${all.rss.toFixed(0)} MB; a tick is ${(tickMs / all.ms).toFixed(2)} times   (limit 0.2)`,
    );
  } finally {
    await redis.stop();
    await rm(dir, { recursive: true, force: true });
    kept.destroy();
  }
}
