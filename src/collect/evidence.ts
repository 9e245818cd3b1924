import { readdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { deadline, untilAborted } from "../base/every.ts";
import type { ProcessUse } from "../core/delivery.ts";
import { AgentError, errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import type { Host } from "./contract.ts";
import { ticksPerSecond } from "./cpu.ts";
import { nameOwners, plainOwner } from "./owners.ts";
import { parseCgroup, type CgroupOwner } from "./proc/cgroup.ts";
import { parsePidStat, parseVmRss, type PidStat } from "./proc/pid.ts";

/** Who may have caused an alert. */
export interface Evidence {
  /**
   * The processes that use most of what an index is about, biggest first; null for an index of which processes say
   * nothing, and when they cannot be read. Never rejects, and takes 300 ms at most.
   */
  biggest(index: string): Promise<readonly ProcessUse[] | null>;
}

export interface EvidenceDeps {
  readonly host: Host;
  readonly clock: Clock;
  readonly log: Log;
}

/** More would hide who it is. */
const maxTold = 5;
/** An alert waits for its evidence no longer. */
const deadlineMs = 300;
/**
 * Between the two looks that a CPU share needs. The kernel counts in ticks of 10 ms, so a busy core is told within 10 %:
 * enough to see who it is, and short beside the 200 ms in which a message should leave.
 */
const windowMs = 100;
/** How long one look serves every alert of the same tick. */
const sharedForMs = 1_000;
/** Files read before others get their turn: about half a millisecond. */
const filesAtOnce = 50;

interface Use {
  readonly pid: number;
  readonly name: string;
  readonly value: number;
}

type Texts = ReadonlyMap<number, string>;
type Stats = ReadonlyMap<number, PidStat>;

/** Null: the process has ended, or hides. */
function tryTo<T>(read: () => T): T | null {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof AgentError) return null;
    throw cause;
  }
}

async function lookAt(host: Host, pids: Iterable<number>, signal: AbortSignal): Promise<Texts> {
  const found = new Map<number, string>();
  let read = 0;
  for (const pid of pids) {
    if (signal.aborted) break;
    if (++read % filesAtOnce === 0) await setImmediate();
    const text = tryTo(() => host.readProc(`${pid}/stat`));
    if (text !== null) found.set(pid, text);
  }
  return found;
}

/** Every process. Throws PROC_UNREADABLE when those of others are hidden: what is left would be the wrong ones. */
async function lookAtAll(host: Host, signal: AbortSignal): Promise<Texts> {
  const names = await readdir(host.roots.proc);
  const pids = names.filter((name) => /^\d+$/.test(name)).map(Number);
  const found = await lookAt(host, pids, signal);
  if (!found.has(1) && !signal.aborted)
    throw new AgentError("PROC_UNREADABLE", "process 1 is hidden, and so are others (hidepid)");
  return found;
}

function parsed(texts: Iterable<readonly [number, string]>): Stats {
  const stats = new Map<number, PidStat>();
  for (const [pid, text] of texts) {
    const stat = tryTo(() => parsePidStat(text));
    if (stat !== null) stats.set(pid, stat);
  }
  return stats;
}

function biggestOf(uses: readonly Use[]): readonly Use[] {
  return uses
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
    .slice(0, maxTold);
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

async function cpuNow({ host, clock }: EvidenceDeps, signal: AbortSignal): Promise<readonly Use[]> {
  const before = await lookAtAll(host, signal);
  const sinceMs = clock.monotonic();
  await clock.sleep(windowMs, signal);
  const now = await lookAt(host, before.keys(), signal);
  // Most processes sleep: what reads as before need not be parsed.
  const busy = [...now].filter(([pid, text]) => text !== before.get(pid));
  const then = busy.map(([pid]) => [pid, before.get(pid) ?? ""] as const);
  return cpuUses(parsed(then), parsed(busy), clock.monotonic() - sinceMs);
}

/** Ranked by pages; the few biggest are then asked for their bytes, so that no page size need be known. */
async function memoryNow({ host }: EvidenceDeps, signal: AbortSignal): Promise<readonly Use[]> {
  const all = [...parsed(await lookAtAll(host, signal))];
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

const kinds = {
  cpu: { is: /^(cpu|load)/, unit: "%", look: cpuNow },
  memory: { is: /^(memory|swap)$/, unit: "B", look: memoryNow },
} as const;
type Kind = (typeof kinds)[keyof typeof kinds];

const noOwner: CgroupOwner = { container: null, podUid: null, unit: null };

/** Looks at the processes of a host; nothing is read before somebody asks. */
export function createEvidence(deps: EvidenceDeps): Evidence {
  const { host, clock, log } = deps;
  /** A directory that hangs keeps a thread; no second one is given to it. */
  let naming = false;
  const shared = new Map<Kind, { sinceMs: number; found: Promise<readonly ProcessUse[] | null> }>();

  const ownersOf = async (
    uses: readonly Use[],
    signal: AbortSignal,
  ): Promise<readonly (string | null)[]> => {
    const cgroups = uses.map(
      ({ pid }) => tryTo(() => parseCgroup(host.readProc(`${pid}/cgroup`))) ?? noOwner,
    );
    const plain = cgroups.map(plainOwner);
    if (naming) return plain;
    naming = true;
    const named = nameOwners(host.roots.root, cgroups).finally(() => {
      naming = false;
    });
    // It never fails by itself.
    return untilAborted(named, signal).catch(() => plain);
  };

  const find = async (kind: Kind): Promise<readonly ProcessUse[] | null> => {
    const timeUp = deadline(clock, deadlineMs);
    try {
      const uses = await untilAborted(kind.look(deps, timeUp.signal), timeUp.signal);
      // What was looked at until then is not all of it.
      timeUp.signal.throwIfAborted();
      const owners = await ownersOf(uses, timeUp.signal);
      return uses.map((use, at) => ({ ...use, unit: kind.unit, owner: owners[at] ?? null }));
    } catch (cause) {
      log.debug("processes unreadable", { cause: errorText(cause) });
      return null;
    } finally {
      timeUp.clear();
    }
  };

  return {
    biggest: async (index) => {
      const kind = Object.values(kinds).find(({ is }) => is.test(index));
      if (kind === undefined) return null;
      const sinceMs = clock.monotonic();
      const last = shared.get(kind);
      if (last !== undefined && sinceMs - last.sinceMs < sharedForMs) return last.found;
      const found = find(kind);
      shared.set(kind, { sinceMs, found });
      return found;
    },
  };
}
