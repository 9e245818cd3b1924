import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import type { ProcessUse } from "../core/delivery.ts";
import { AgentError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import type { Host } from "./contract.ts";
import { ticksPerSecond } from "./cpu.ts";
import { parsePidIo, parsePidStat, parseVmRss, type PidStat } from "./proc/pid.ts";

/** More would hide who it is. */
const maxTold = 5;
/**
 * Between the two looks that a rate needs. The kernel counts CPU in ticks of 10 ms, so a busy core is told within 10 %:
 * enough to see who it is, and short beside the 200 ms in which a message should leave.
 */
const windowMs = 100;
/** Files read before others get their turn: about half a millisecond. */
const filesAtOnce = 50;

/** How much a process uses of something. */
export interface Use {
  readonly pid: number;
  readonly name: string;
  readonly value: number;
}

/** What looking at processes needs. */
export interface UsesDeps {
  readonly host: Host;
  readonly clock: Clock;
}

/** One file of each process, by pid. */
type Texts = ReadonlyMap<number, string>;
type Stats = ReadonlyMap<number, PidStat>;

/** Null: it is not there, or hides. */
export function tryTo<T>(read: () => T): T | null {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof AgentError) return null;
    throw cause;
  }
}

/** A file below the directory of a process. */
type PidFile = "stat" | "io";

async function lookAt(
  host: Host,
  file: PidFile,
  pids: Iterable<number>,
  signal: AbortSignal,
): Promise<Texts> {
  const found = new Map<number, string>();
  let read = 0;
  for (const pid of pids) {
    if (signal.aborted) break;
    if (++read % filesAtOnce === 0) await setImmediate();
    const text = tryTo(() => host.readProc(`${pid}/${file}`));
    if (text !== null) found.set(pid, text);
  }
  return found;
}

/** Every process. Throws PROC_UNREADABLE when those of others are hidden: what is left would be the wrong ones. */
async function lookAtAll(host: Host, file: PidFile, signal: AbortSignal): Promise<Texts> {
  const names = await readdir(host.roots.proc);
  // Asked first: an error for each of 500 processes would cost more than all the rest.
  if (tryTo(() => host.readProc(`1/${file}`)) === null)
    throw new AgentError("PROC_UNREADABLE", `process 1 is hidden (1/${file}), and so are others`);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  return lookAt(host, file, pids, signal);
}

function parsedBy<T>(
  parse: (text: string) => T,
  texts: Iterable<readonly [number, string]>,
): ReadonlyMap<number, T> {
  const found = new Map<number, T>();
  for (const [pid, text] of texts) {
    const one = tryTo(() => parse(text));
    if (one !== null) found.set(pid, one);
  }
  return found;
}

function biggestOf<T extends { readonly value: number }>(uses: readonly T[]): readonly T[] {
  return uses
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, maxTold);
}

/** A file of every process, twice; only those in which something changed meanwhile. */
async function lookTwice<T>(
  { host, clock }: UsesDeps,
  { file, parse }: { readonly file: PidFile; readonly parse: (text: string) => T },
  signal: AbortSignal,
): Promise<{
  before: ReadonlyMap<number, T>;
  now: ReadonlyMap<number, T>;
  elapsedMs: number;
}> {
  const before = await lookAtAll(host, file, signal);
  const sinceMs = clock.monotonic();
  await clock.sleep(windowMs, signal);
  const now = await lookAt(host, file, before.keys(), signal);
  // Most processes sleep: what reads as before need not be parsed.
  const busy = [...now].filter(([pid, text]) => text !== before.get(pid));
  const then = busy.map(([pid]) => [pid, before.get(pid) ?? ""] as const);
  return {
    before: parsedBy(parse, then),
    now: parsedBy(parse, busy),
    elapsedMs: clock.monotonic() - sinceMs,
  };
}

/** Shares of one core between two looks; who was not there at both is left out. */
export function cpuUses(before: Stats, now: Stats, elapsedMs: number): readonly Use[] {
  const ticks = (elapsedMs / 1_000) * ticksPerSecond;
  if (ticks <= 0) return [];
  const uses = [...now].flatMap(([pid, { name, cpuTicks, startTicks }]) => {
    const then = before.get(pid);
    if (then?.startTicks !== startTicks) return [];
    return [{ pid, name, value: (100 * (cpuTicks - then.cpuTicks)) / ticks }];
  });
  return biggestOf(uses);
}

async function cpuNow(deps: UsesDeps, signal: AbortSignal): Promise<readonly Use[]> {
  const looks = await lookTwice(deps, { file: "stat", parse: parsePidStat }, signal);
  return cpuUses(looks.before, looks.now, looks.elapsedMs);
}

/** Ranked by pages; the few biggest are then asked for their bytes, so that no page size need be known. */
async function memoryNow({ host }: UsesDeps, signal: AbortSignal): Promise<readonly Use[]> {
  const all = [...parsedBy(parsePidStat, await lookAtAll(host, "stat", signal))];
  const ranked = biggestOf(
    all.map(([pid, { name, rssPages }]) => ({ pid, name, value: rssPages })),
  );
  return biggestOf(
    ranked.map((use) => ({
      ...use,
      value: tryTo(() => parseVmRss(host.readProc(`${use.pid}/status`))) ?? 0,
    })),
  );
}

/** Bytes a second between two looks, biggest first; who was not there at both, or began anew, is left out. */
export function ioUses(
  before: ReadonlyMap<number, number>,
  now: ReadonlyMap<number, number>,
  elapsedMs: number,
): readonly Pick<Use, "pid" | "value">[] {
  if (elapsedMs <= 0) return [];
  const uses = [...now].map(([pid, bytes]) => {
    const then = before.get(pid) ?? bytes;
    return { pid, value: ((bytes - then) * 1_000) / elapsedMs };
  });
  return biggestOf(uses);
}

/** Needs the right to trace other processes (CAP_SYS_PTRACE), which root on a plain server has. */
async function ioNow(deps: UsesDeps, signal: AbortSignal): Promise<readonly Use[]> {
  const looks = await lookTwice(deps, { file: "io", parse: parsePidIo }, signal);
  return ioUses(looks.before, looks.now, looks.elapsedMs).flatMap((use) => {
    const stat = tryTo(() => parsePidStat(deps.host.readProc(`${use.pid}/stat`)));
    return stat === null ? [] : [{ ...use, name: stat.name }];
  });
}

/** Something of which processes use more or less. */
export interface Kind {
  /** The indexes it is about. */
  readonly is: RegExp;
  readonly unit: ProcessUse["unit"];
  /** The processes that use most, biggest first. Throws PROC_UNREADABLE when they are hidden. */
  readonly look: (deps: UsesDeps, signal: AbortSignal) => Promise<readonly Use[]>;
}

const kinds: readonly Kind[] = [
  // Time spent waiting for a disk is of those who keep it busy, not of those who compute.
  { is: /^(disk|cpu_iowait)/, unit: "B/s", look: ioNow },
  { is: /^(cpu|load)/, unit: "%", look: cpuNow },
  { is: /^(memory|swap)$/, unit: "B", look: memoryNow },
];

/** What to look at for an index; undefined: processes say nothing of it. */
export function kindOf(index: string): Kind | undefined {
  return kinds.find(({ is }) => is.test(index));
}
