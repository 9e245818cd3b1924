import { noLabels, type Reading } from "../core/series.ts";
import { defineCollector, type Family } from "./contract.ts";
import {
  type CpuMode,
  cpuModes,
  type CpuTicks,
  parseStat,
  type ProcStat,
  type StatCounter,
} from "./proc/stat.ts";

/** /proc counts CPU time in USER_HZ, which is 100 on every architecture Node runs on. */
export const ticksPerSecond = 100;

/**
 * Ticks spent in each mode between two looks. iowait may go back by itself (proc_stat(5)) and then counts as none; any
 * other mode going back means that the counters began anew: null.
 */
function spentTicks(now: CpuTicks, before: CpuTicks): Record<CpuMode, number> | null {
  const spent = { user: 0, nice: 0, system: 0, idle: 0, iowait: 0, irq: 0, softirq: 0, steal: 0 };
  for (const mode of cpuModes) {
    const delta = now.modes[mode] - before.modes[mode];
    if (delta < 0 && mode !== "iowait") return null;
    spent[mode] = Math.max(0, delta);
  }
  return spent;
}

/** Shares of the time between two looks in percent; null when there is no such time. */
export function cpuShares(
  now: CpuTicks,
  before: CpuTicks,
): { busy: number; iowait: number; steal: number } | null {
  const spent = spentTicks(now, before);
  if (spent === null) return null;
  const busy = spent.user + spent.nice + spent.system + spent.irq + spent.softirq + spent.steal;
  const total = busy + (spent.idle + spent.iowait);
  if (total === 0) return null;
  return {
    busy: (100 * busy) / total,
    iowait: (100 * spent.iowait) / total,
    steal: (100 * spent.steal) / total,
  };
}

function timeFamilies(cpus: ProcStat["cpus"]): readonly Family[] {
  const seconds = (ticks: number): number => ticks / ticksPerSecond;
  return [
    {
      name: "node_cpu_seconds_total",
      help: "Seconds each CPU spent in each mode.",
      type: "counter",
      samples: [...cpus].flatMap(([cpu, { modes }]) =>
        cpuModes.map((mode) => ({ labels: { cpu, mode }, value: seconds(modes[mode]) })),
      ),
    },
    {
      name: "node_cpu_guest_seconds_total",
      help: "Seconds each CPU spent in virtual machines, which user and nice contain too.",
      type: "counter",
      samples: [...cpus].flatMap(([cpu, { guest, guestNice }]) => [
        { labels: { cpu, mode: "user" }, value: seconds(guest) },
        { labels: { cpu, mode: "nice" }, value: seconds(guestNice) },
      ]),
    },
  ];
}

/** Families of one number each, by the line of /proc/stat they come from; names and types as node_exporter's. */
const counterFamilies: readonly (readonly [StatCounter, Omit<Family, "samples">])[] = [
  [
    "btime",
    { name: "node_boot_time_seconds", help: "When the node started, Unix time.", type: "gauge" },
  ],
  ["ctxt", { name: "node_context_switches_total", help: "Context switches.", type: "counter" }],
  [
    "processes",
    { name: "node_forks_total", help: "Processes and threads started.", type: "counter" },
  ],
  ["intr", { name: "node_intr_total", help: "Interrupts served.", type: "counter" }],
  [
    "procs_running",
    { name: "node_procs_running", help: "Threads running or ready to run.", type: "gauge" },
  ],
  [
    "procs_blocked",
    { name: "node_procs_blocked", help: "Threads waiting for I/O.", type: "gauge" },
  ],
];

/** How busy the CPUs are: one look before is needed. */
export const cpu = defineCollector<ProcStat>({
  name: "cpu",
  doc: "CPU time by /proc/stat: busy, waiting for I/O, and taken by the hypervisor",
  defaultOn: true,
  indexes: [
    {
      name: "cpu",
      unit: "%",
      decimals: 1,
      labels: [],
      help: "CPU time not idle and not waiting for I/O",
    },
    {
      name: "cpu_iowait",
      unit: "%",
      decimals: 1,
      labels: [],
      help: "CPU time idle while I/O was outstanding",
    },
    {
      name: "cpu_steal",
      unit: "%",
      decimals: 1,
      labels: [],
      help: "CPU time the hypervisor gave to others",
    },
  ],
  read: (host) => parseStat(host.readProc("stat")),
  readings: (now, before): readonly Reading[] => {
    if (before === undefined) return [];
    const shares = cpuShares(now.total, before.raw.total);
    return [
      { index: "cpu", labels: noLabels, value: shares?.busy ?? null },
      { index: "cpu_iowait", labels: noLabels, value: shares?.iowait ?? null },
      { index: "cpu_steal", labels: noLabels, value: shares?.steal ?? null },
    ];
  },
  families: ({ cpus, counters }) => [
    ...timeFamilies(cpus),
    ...counterFamilies.flatMap(([counter, family]) => {
      const value = counters.get(counter);
      return value === undefined ? [] : [{ ...family, samples: [{ labels: noLabels, value }] }];
    }),
  ],
});
