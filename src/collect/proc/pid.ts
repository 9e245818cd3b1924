import { unexpected } from "./numbers.ts";

/** What /proc/<pid>/stat says of a process. */
export interface PidStat {
  /** The kernel's own short name of it, at most 15 bytes; what its command line says may be secret. */
  readonly name: string;
  /** Time on a CPU in user and kernel mode, all threads; in ticks. */
  readonly cpuTicks: number;
  /** When it started, in ticks since the boot: a pid that is used again has another. */
  readonly startTicks: number;
  /** Memory in RAM, in pages of the host (4 KiB on most, 16 or 64 KiB on some arm64 and ppc64). */
  readonly rssPages: number;
}

/** By proc_pid_stat(5) from the third field on: the 14th and 15th are CPU times, the 22nd the start, the 24th pages. */
const fields = /^ \S(?: -?\d+){10} (\d+) (\d+)(?: -?\d+){6} (\d+) \d+ (\d+)/;

/** Reads /proc/<pid>/stat. A name may hold spaces, parentheses and line ends: it goes to the last parenthesis. */
export function parsePidStat(text: string): PidStat {
  const open = text.indexOf("(");
  const close = text.lastIndexOf(")");
  const found = fields.exec(text.slice(close + 1));
  if (open < 0 || close < open || found === null)
    throw unexpected("stat", "a name in parentheses and 24 fields", text);
  const [, utime, stime, start, rss] = found.map(Number);
  return {
    name: text.slice(open + 1, close),
    cpuTicks: (utime ?? 0) + (stime ?? 0),
    startTicks: start ?? 0,
    rssPages: rss ?? 0,
  };
}

/** Bytes in RAM by /proc/<pid>/status, which needs no page size; null for a kernel thread, which has none. */
export function parseVmRss(text: string): number | null {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1];
  return kib === undefined ? null : Number(kib) * 1_024;
}

/** By proc_pid_io(5): what went to and came from the storage itself, not what the page cache had. */
const ioFields = /^read_bytes: (\d+)\nwrite_bytes: (\d+)$/m;

/** Bytes read from and written to storage since the process began, by /proc/<pid>/io. */
export function parsePidIo(text: string): number {
  const found = ioFields.exec(text);
  if (found === null) throw unexpected("io", "read_bytes and write_bytes", text);
  return Number(found[1]) + Number(found[2]);
}
