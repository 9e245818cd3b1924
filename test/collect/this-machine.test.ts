import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { systemClock } from "../../src/base/clock.ts";
import type { Host } from "../../src/collect/contract.ts";
import { createHost } from "../../src/collect/host.ts";
import { collectors } from "../../src/collect/index.ts";
import { portableCollectors } from "../../src/collect/portable.ts";
import { type Collection, createCollection } from "../../src/collect/runner.ts";
import type { AnyCollector } from "../../src/collect/contract.ts";
import { chooseSource } from "../../src/collect/portable.ts";
import type { Row } from "../../src/core/series.ts";
import { createTestLog } from "./support.ts";

/** Files of other programs change between two looks; on a disk of a few GB this is far more than they do. */
const shareTolerance = 1;

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
}

/** Keeps the CPUs busy, so that there is an interval to measure. */
function work(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs) Math.sqrt(endMs);
}

/** This machine, and every /proc/stat that was read of it. */
function thisMachine(): { host: Host; stats: string[] } {
  const stats: string[] = [];
  const host = createHost({ roots: { proc: "/proc", sys: "/sys", root: "/" }, clock: systemClock });
  const readProc = (file: string): string => {
    const text = host.readProc(file);
    if (file === "stat") stats.push(text);
    return text;
  };
  return { host: { ...host, readProc }, stats };
}

/** Values of this machine after an interval of 300 ms. */
async function measure(
  list: readonly AnyCollector[],
): Promise<{ values: ReadonlyMap<string, number | null>; stats: string[] }> {
  const { host, stats } = thisMachine();
  const log = createTestLog();
  const collection = createCollection({ host, collectors: list, clock: systemClock, log });
  await collection.collect(0);
  work(300);
  const { values } = await collection.collect(1);
  assert.deepEqual(log.lines, []);
  return { values, stats };
}

function near(actual: number | null | undefined, expected: number, tolerance: number): void {
  assert.ok(
    typeof actual === "number" && Math.abs(actual - expected) <= tolerance,
    `${actual} is not within ${tolerance} of ${expected}`,
  );
}

/** Columns of the `cpu` line: user nice system idle iowait irq softirq steal. */
function cpuColumns(stat: string | undefined): number[] {
  const line = (stat ?? "").split("\n").find((one) => one.startsWith("cpu "));
  return (line ?? "").trim().split(/\s+/).slice(1, 9).map(Number);
}

/** The last line of df for a mount: blocks (or inodes), used, available. */
function df(option: string, mountPoint: string): [number, number, number] {
  const line = run("df", option, "--", mountPoint).trim().split("\n").at(-1) ?? "";
  const [, total, used, available] = /\s(\d+)\s+(\d+)\s+(\d+)\s+\S+\s+\//.exec(line) ?? [];
  return [Number(total), Number(used), Number(available)];
}

describe("this machine", () => {
  it("has the cpu shares that plain arithmetic on its /proc/stat gives", async () => {
    const { values, stats } = await measure(collectors);
    const before = cpuColumns(stats[0]);
    const now = cpuColumns(stats.at(-1));
    const spent = now.map((ticks, i) => Math.max(0, ticks - (before[i] ?? 0)));
    const total = spent.reduce((sum, ticks) => sum + ticks, 0);
    assert.equal(stats.length, 2);
    assert.ok(total > 0);
    const [, , , idle = 0, iowait = 0, , , steal = 0] = spent;
    near(values.get("cpu"), 100 - (100 * (idle + iowait)) / total, 0.051);
    near(values.get("cpu_iowait"), (100 * iowait) / total, 0.051);
    near(values.get("cpu_steal"), (100 * steal) / total, 0.051);
  });

  it("has the memory that `free` shows", async () => {
    const { values } = await measure(collectors);
    const row = /^Mem:\s+(.*)$/m.exec(run("free", "-b"))?.[1]?.trim().split(/\s+/).map(Number);
    const [total = 0, , , , , available = 0] = row ?? [];
    near(values.get("memory"), 100 * (1 - available / total), shareTolerance);
  });

  it("has the space and the inodes that `df` shows, of every mount", async () => {
    const { host } = thisMachine();
    const filesystems = (await host.filesystems()).filter(({ error }) => error === null);
    const { values } = await measure(collectors);
    assert.ok(filesystems.some(({ mountPoint }) => mountPoint === "/"));
    for (const { mountPoint, usage } of filesystems) {
      const label = mountPoint === "/" ? "" : `{mount="${mountPoint}"}`;
      const [sizeKb, usedKb, availableKb] = df("-kP", mountPoint);
      assert.equal(Math.floor((usage?.sizeBytes ?? 0) / 1024), sizeKb);
      near(values.get(`disk${label}`), (100 * usedKb) / (usedKb + availableKb), shareTolerance);
      if (usage?.files === 0) continue;
      const [files, filesUsed] = df("-iP", mountPoint);
      near(values.get(`inodes${label}`), (100 * filesUsed) / files, shareTolerance);
    }
  });

  it("has the load averages that `uptime` shows", async () => {
    const { values } = await measure(collectors);
    const [, load1, load5, load15] =
      /load average: ([\d.]+), ([\d.]+), ([\d.]+)/.exec(run("uptime")) ?? [];
    near(values.get("load1"), Number(load1), 1);
    near(values.get("load5"), Number(load5), 0.3);
    near(values.get("load15"), Number(load15), 0.1);
  });
});

/** What the kernel counted of an interface so far, by the names of the families. */
function sysCounters(device: string): ReadonlyMap<string, number> {
  const read = (name: string): number =>
    Number(readFileSync(`/sys/class/net/${device}/statistics/${name}`, "utf8"));
  return new Map(
    (["receive", "transmit"] as const).flatMap((direction): [string, number][] => {
      const prefix = direction === "receive" ? "rx" : "tx";
      // /proc/net/dev shows what the card itself missed among the drops.
      const missed = prefix === "rx" ? read("rx_missed_errors") : 0;
      const name = (counter: string): string => `node_network_${direction}_${counter}_total`;
      return [
        [name("bytes"), read(`${prefix}_bytes`)],
        [name("packets"), read(`${prefix}_packets`)],
        [name("errs"), read(`${prefix}_errors`)],
        [name("drop"), read(`${prefix}_dropped`) + missed],
      ];
    }),
  );
}

interface Counted {
  readonly atMs: number;
  readonly counters: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

function countAll(devices: readonly string[]): Counted {
  const counters = new Map(devices.map((device) => [device, sysCounters(device)]));
  return { atMs: performance.now(), counters };
}

describe("interfaces of this machine", () => {
  const networkOnly = collectors.filter(({ name }) => name === "network");
  const watched = async (collection: Collection): Promise<string[]> =>
    (await collection.families())[0]?.samples.map(({ labels }) => labels["device"] ?? "") ?? [];
  const collection = (): Collection =>
    createCollection({
      host: thisMachine().host,
      collectors: networkOnly,
      clock: systemClock,
      log: createTestLog(),
    });

  it("have the counters that /sys shows, the one with the default route among them", async () => {
    const one = collection();
    const devices = await watched(one);
    const routes = readFileSync("/proc/self/net/route", "utf8");
    const way = /^(\S+)\t00000000\t\S+\t0003\t/m.exec(routes)?.[1];
    if (way !== undefined) assert.ok(devices.includes(way), way);
    const before = countAll(devices);
    const families = await one.families();
    const after = countAll(devices);
    assert.equal(families.length, 8);
    for (const { name, samples } of families)
      for (const { labels, value } of samples) {
        const device = labels["device"] ?? "";
        const least = before.counters.get(device)?.get(name) ?? Number.NaN;
        const most = after.counters.get(device)?.get(name) ?? Number.NaN;
        assert.ok(value >= least && value <= most, `${name} ${device}: ${value}`);
      }
  });

  it("have the rates that /sys shows around both looks", async () => {
    const one = collection();
    const devices = await watched(one);
    const looks: Counted[] = [];
    const look = async (): Promise<Row> => {
      looks.push(countAll(devices));
      const row = await one.collect(0);
      looks.push(countAll(devices));
      return row;
    };
    await look();
    work(300);
    const { values } = await look();
    const [before0, after0, before1, after1] = looks;
    assert.ok(before0 && after0 && before1 && after1);
    const count = (at: Counted, device: string, name: string): number =>
      at.counters.get(device)?.get(name) ?? Number.NaN;
    const shortestSeconds = (before1.atMs - after0.atMs) / 1_000;
    const longestSeconds = (after1.atMs - before0.atMs) / 1_000;
    for (const device of devices)
      for (const direction of ["receive", "transmit"]) {
        const name = `node_network_${direction}_bytes_total`;
        const least = (count(before1, device, name) - count(after0, device, name)) / longestSeconds;
        const most = (count(after1, device, name) - count(before0, device, name)) / shortestSeconds;
        const value = values.get(`net_${direction}{interface="${device}"}`) ?? Number.NaN;
        assert.ok(value >= least - 1 && value <= most + 1, `${device}: ${value}`);
      }
  });
});

describe("portable collectors on this machine", () => {
  it("give what the ones over /proc give", async () => {
    const { values: portable, stats } = await measure([...portableCollectors, ...rereading()]);
    const { values: proc } = await measure(collectors);
    // Of memory and space a point may come and go between two looks; of the load, what a dozen tasks change in 5 s.
    const tolerances = { memory: 1, disk: 1, load1: 1, load5: 0.3, load15: 0.1, swap: 1 };
    for (const [index, tolerance] of Object.entries(tolerances)) {
      const expected = proc.get(index);
      if (expected === undefined) assert.equal(portable.has(index), false, index);
      else near(portable.get(index), expected ?? Number.NaN, tolerance);
    }
    // os.cpus() knows no iowait, softirq and steal; of the rest 5 points are one tick in the 300 ms of one CPU.
    const before = cpuColumns(stats[0]);
    const [user = 0, nice = 0, system = 0, idle = 0, , irq = 0] = cpuColumns(stats.at(-1)).map(
      (ticks, i) => ticks - (before[i] ?? 0),
    );
    const busy = user + nice + system + irq;
    near(portable.get("cpu"), (100 * busy) / (busy + idle), 5);
  });

  it("have no index of what the library does not know", async () => {
    const { values } = await measure(portableCollectors);
    for (const unknown of ["inodes", "cpu_iowait", "cpu_steal", "net_receive"])
      assert.equal(values.has(unknown), false);
  });

  it("give the families they can vouch for, with the values of the ones over /proc", async () => {
    const families = async (list: readonly AnyCollector[]): Promise<Map<string, number>> => {
      const { host } = thisMachine();
      const deps = { host, collectors: list, clock: systemClock, log: createTestLog() };
      const all = await createCollection(deps).families();
      return new Map(
        all.flatMap(({ name, samples }) =>
          samples.map(
            ({ labels, value }) =>
              [
                `${name} ${labels["mountpoint"] ?? ""}${labels["cpu"] ?? ""}${labels["mode"] ?? ""}`,
                value,
              ] as const,
          ),
        ),
      );
    };
    const portable = await families(portableCollectors);
    const proc = await families(collectors);
    for (const [key, value] of portable) {
      const expected = proc.get(key);
      assert.ok(expected !== undefined, `${key} is not known to the collectors over /proc`);
      if (key.includes("_bytes") || key.includes("idle"))
        near(value, expected, Math.max(expected * 0.05, 1));
    }
    for (const name of [
      "node_memory_MemAvailable_bytes ",
      "node_filesystem_avail_bytes /",
      "node_load1 ",
      "node_cpu_seconds_total 0user",
    ])
      assert.ok(portable.has(name), name);
  });
});

/** Only the reading of /proc/stat, beside other collectors. */
function rereading(): readonly AnyCollector[] {
  return collectors
    .filter(({ name }) => name === "cpu")
    .map((cpu) => ({ ...cpu, readings: () => [], families: () => [] }));
}

describe("choice of the source", () => {
  it("follows the setting, and by itself takes /proc where there is one", () => {
    assert.equal(chooseSource("proc", "darwin", false), "proc");
    assert.equal(chooseSource("portable", "linux", true), "portable");
    assert.equal(chooseSource("auto", "linux", true), "proc");
    assert.equal(chooseSource("auto", "linux", false), "portable");
    assert.equal(chooseSource("auto", "freebsd", true), "portable");
    assert.equal(chooseSource("auto", "win32", false), "portable");
  });
});
