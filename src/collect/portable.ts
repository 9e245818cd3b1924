import os from "node:os";
import { AgentError } from "../core/errors.ts";
import type { AnyCollector, Collector } from "./contract.ts";
import { cpu } from "./cpu.ts";
import { disk } from "./disk.ts";
import type { Filesystem } from "./filesystems.ts";
import { load } from "./load.ts";
import { memory } from "./memory.ts";
import { isWatched } from "./mounts.ts";
import type { LoadAverages } from "./proc/loadavg.ts";
import type { MemInfo } from "./proc/meminfo.ts";
import type { CpuTicks, ProcStat } from "./proc/stat.ts";
import { swap } from "./swap.ts";

/** Where the values come from: the host's /proc, or whatever the operating system offers to a library. */
export type Source = "proc" | "portable";

/** Decides by the setting; `auto` reads /proc wherever there is one. */
export function chooseSource(
  setting: "auto" | Source,
  platform: string,
  procReadable: boolean,
): Source {
  if (setting !== "auto") return setting;
  return platform === "linux" && procReadable ? "proc" : "portable";
}

/** A collector that differs from the one over /proc in how it reads, and in what it cannot know. */
function like<Raw>(
  original: AnyCollector,
  changes: Pick<Collector<Raw>, "doc" | "read"> & Partial<Collector<Raw>>,
): AnyCollector {
  // Every `read` below gives the raw type of the original, or changes what takes it along.
  return { ...original, ...(changes as Partial<AnyCollector>) };
}

/** `os.cpus()` counts milliseconds, /proc/stat hundredths of a second. */
const millisecondsPerTick = 10;

/** Modes `os.cpus()` has; the others would be zeros that nobody measured. */
const knownModes: ReadonlySet<string | undefined> = new Set([
  "user",
  "nice",
  "system",
  "idle",
  "irq",
]);

function ticksOf(times: Readonly<os.CpuInfo["times"]>): CpuTicks {
  const ticks = (ms: number): number => ms / millisecondsPerTick;
  const modes = {
    user: ticks(times.user),
    nice: ticks(times.nice),
    system: ticks(times.sys),
    idle: ticks(times.idle),
    irq: ticks(times.irq),
    iowait: 0,
    softirq: 0,
    steal: 0,
  };
  return { modes, guest: 0, guestNice: 0 };
}

function sum(times: readonly os.CpuInfo["times"][]): os.CpuInfo["times"] {
  const total = { user: 0, nice: 0, sys: 0, idle: 0, irq: 0 };
  for (const { user, nice, sys, idle, irq } of times) {
    total.user += user;
    total.nice += nice;
    total.sys += sys;
    total.idle += idle;
    total.irq += irq;
  }
  return total;
}

/**
 * The library's own `currentLoad` measures since whoever called it last, so a scrape would shorten a sample's interval;
 * it builds on `os.cpus()`, and so does this.
 */
const portableCpu = like<ProcStat>(cpu, {
  doc: "CPU time by os.cpus(), which knows neither I/O wait nor steal",
  indexes: cpu.indexes.filter(({ name }) => name === "cpu"),
  read: () => {
    const times = os.cpus().map((one) => one.times);
    if (times.length === 0) throw new AgentError("PROC_UNREADABLE", "os.cpus() lists no CPU");
    const cpus = new Map(times.map((one, i) => [String(i), ticksOf(one)]));
    return { total: ticksOf(sum(times)), cpus, counters: new Map() };
  },
  readings: (now, before) => cpu.readings(now, before).filter(({ index }) => index === "cpu"),
  families: (now) =>
    cpu
      .families(now)
      .filter(({ name }) => name === "node_cpu_seconds_total")
      .map((family) => ({
        ...family,
        samples: family.samples.filter(({ labels }) => knownModes.has(labels["mode"])),
      })),
});

/** The library costs 9 MB of memory, so it is loaded by whoever first looks. */
async function readMemory(): Promise<MemInfo> {
  const { mem } = await import("./systeminformation.ts");
  const { total, free, active, swaptotal, swapfree } = await mem();
  // `used` of the library contains caches; `active` is what is not available.
  const fields = {
    MemTotal: total,
    MemFree: free,
    MemAvailable: total - active,
    SwapTotal: swaptotal,
    SwapFree: swapfree,
  };
  if (!(total > 0)) throw new AgentError("PROC_UNREADABLE", "systeminformation knows no memory");
  return new Map(
    Object.entries(fields)
      .filter(([, value]) => Number.isFinite(value))
      .map(([name, value]) => [name, { value, isBytes: true }]),
  );
}

const portableMemory = like<MemInfo>(memory, {
  doc: "Memory by systeminformation: what is not available to new programs",
  read: readMemory,
});

const portableSwap = like<MemInfo>(swap, {
  doc: "Swap in use by systeminformation; nothing on a host without swap",
  read: readMemory,
});

const portableLoad = like<LoadAverages | null>(load, {
  doc: "Load averages by os.loadavg(); Windows has none",
  read: () => {
    const [load1, load5, load15] = os.loadavg();
    if (os.platform() === "win32" || load1 === undefined) return null;
    return { load1, load5: load5 ?? 0, load15: load15 ?? 0 };
  },
  readings: (now) => (now === null ? [] : load.readings(now, undefined)),
  families: (now) => (now === null ? [] : load.families(now)),
});

/** Windows has no root; the drive it starts from is what people mean by "the disk". */
function isRoot(mountPoint: string): boolean {
  return mountPoint === "/" || mountPoint === "C:";
}

/** The library knows nothing of inodes and not always whether a filesystem is read-only. */
const knownDiskFamilies: ReadonlySet<string> = new Set([
  "node_filesystem_size_bytes",
  "node_filesystem_free_bytes",
  "node_filesystem_avail_bytes",
]);

const portableDisk = like<readonly Filesystem[]>(disk, {
  doc: "Space of every real filesystem by systeminformation, which asks df",
  read: async () => {
    const { fsSize } = await import("./systeminformation.ts");
    const found = (await fsSize()).filter(({ type, mount }) =>
      isWatched({ type, mountPoint: mount }),
    );
    if (found.length === 0)
      throw new AgentError("PROC_UNREADABLE", "systeminformation lists no filesystem");
    return found.map(({ fs, type, size, used, available, mount, rw }) => ({
      device: fs,
      mountPoint: mount,
      type,
      readOnly: rw === false,
      usage: {
        sizeBytes: size,
        freeBytes: size - used,
        availableBytes: available,
        files: 0,
        filesFree: 0,
      },
      error: null,
    }));
  },
  readings: (now) =>
    disk.readings(
      now.map((one) => (isRoot(one.mountPoint) ? { ...one, mountPoint: "/" } : one)),
      undefined,
    ),
  families: (now) => disk.families(now).filter(({ name }) => knownDiskFamilies.has(name)),
});

/**
 * Collectors for hosts without a readable /proc. There is none for inodes, which the library does not count, and none
 * for the network: which interfaces are worth a series is known by the names that Linux and its tools give.
 */
export const portableCollectors: readonly AnyCollector[] = [
  portableCpu,
  portableMemory,
  portableDisk,
  portableLoad,
  portableSwap,
];
