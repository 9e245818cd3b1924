import { procNumber, unexpected } from "./numbers.ts";

/** The modes a CPU's time is divided into; guest time is part of user and nice and stands apart. */
export const cpuModes = [
  "user",
  "nice",
  "system",
  "idle",
  "iowait",
  "irq",
  "softirq",
  "steal",
] as const;
export type CpuMode = (typeof cpuModes)[number];

/** Time of one CPU, or of all, since the start; in ticks. */
export interface CpuTicks {
  readonly modes: Readonly<Record<CpuMode, number>>;
  readonly guest: number;
  readonly guestNice: number;
}

/** Lines of /proc/stat with one number of interest. */
export const statCounters = [
  "intr",
  "ctxt",
  "btime",
  "processes",
  "procs_running",
  "procs_blocked",
] as const;
export type StatCounter = (typeof statCounters)[number];

/** What /proc/stat says. */
export interface ProcStat {
  /** All CPUs together, those that are offline now included. */
  readonly total: CpuTicks;
  /** The CPUs that are online, by number. */
  readonly cpus: ReadonlyMap<string, CpuTicks>;
  readonly counters: ReadonlyMap<StatCounter, number>;
}

/** User, nice, system and idle are there since Linux 2.4; whatever an older kernel does not write is 0. */
const fewestColumns = 4;

function parseTicks(words: readonly string[], line: string): CpuTicks {
  if (words.length < fewestColumns) throw unexpected("stat", "at least four CPU times", line);
  const at = (column: number): number =>
    column < words.length ? procNumber(words[column], "stat", line) : 0;
  const [user, nice, system, idle, iowait, irq, softirq, steal] = cpuModes.map((_, i) => at(i));
  const modes = { user, nice, system, idle, iowait, irq, softirq, steal };
  // Eight modes were mapped above, so none of the eight is missing.
  return { modes: modes as CpuTicks["modes"], guest: at(8), guestNice: at(9) };
}

/** Reads /proc/stat. Throws PROC_UNREADABLE when it has no `cpu` line or a line is garbled. */
export function parseStat(text: string): ProcStat {
  let total: CpuTicks | undefined;
  const cpus = new Map<string, CpuTicks>();
  const counters = new Map<StatCounter, number>();
  for (const line of text.split("\n")) {
    const [name = "", ...words] = line.trim().split(/\s+/);
    const cpu = /^cpu(\d*)$/.exec(name)?.[1];
    const counter = statCounters.find((known) => known === name);
    if (cpu === "") total = parseTicks(words, line);
    else if (cpu !== undefined) cpus.set(cpu, parseTicks(words, line));
    else if (counter !== undefined) counters.set(counter, procNumber(words[0], "stat", line));
  }
  if (total === undefined) throw unexpected("stat", 'a line "cpu" with times', text);
  return { total, cpus, counters };
}
