import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { statfs as statfsOfSystem } from "node:fs/promises";
import path from "node:path";
import { AgentError, errorText } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import type { Host, HostRoots } from "./contract.ts";
import type { Filesystem } from "./filesystems.ts";
import { laneOf, rebaseMounts, selectMounts } from "./mounts.ts";
import { type Mount, parseMountInfo } from "./proc/mountinfo.ts";
import { createStatfsLanes, type Statfs, type StatfsLanes } from "./statfs.ts";

/** The host this process can see, below its roots. */
export interface LocalHost extends Host {
  /** Calls for sizes that hang in the thread pool; the process cannot exit by itself while there are any. */
  stuckCalls(): number;
}

export interface HostDeps {
  readonly roots: HostRoots;
  readonly clock: Clock;
  /** How to ask for sizes; the system's own call unless a recorded host is replayed. */
  readonly statfs?: Statfs;
  /** Where these calls are counted; its own unless several hosts share one process. */
  readonly lanes?: StatfsLanes;
}

/** Lanes for the system's own call. */
export function createSystemLanes(clock: Clock): StatfsLanes {
  return createStatfsLanes(clock, (at) => statfsOfSystem(at));
}

/** How long one look at the filesystems serves everybody. */
const sharedForMs = 1_000;

function readMounts(host: Pick<Host, "readProc" | "roots">): readonly Mount[] {
  let text: string;
  try {
    text = host.readProc("1/mountinfo");
  } catch {
    // Hidden by hidepid: our own mounts are the next best, the host's among them below its root.
    return rebaseMounts(parseMountInfo(host.readProc("self/mountinfo")), host.roots.root);
  }
  return parseMountInfo(text);
}

function readBeginning(file: string, maxBytes: number): string {
  const descriptor = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(maxBytes);
    return bytes.toString("utf8", 0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

/** Reads the host below its roots; nothing is read before somebody asks. */
export function createHost({
  roots,
  clock,
  statfs,
  lanes = statfs === undefined ? createSystemLanes(clock) : createStatfsLanes(clock, statfs),
}: HostDeps): LocalHost {
  const readProc = (file: string, maxBytes?: number): string => {
    const full = path.join(roots.proc, file);
    try {
      return maxBytes === undefined ? readFileSync(full, "utf8") : readBeginning(full, maxBytes);
    } catch (cause) {
      throw new AgentError("PROC_UNREADABLE", `cannot read ${full}: ${errorText(cause)}`, {
        cause,
      });
    }
  };

  const look = async (): Promise<readonly Filesystem[]> => {
    const mounts = selectMounts(readMounts({ readProc, roots }));
    const sizes = await lanes.look(
      mounts.map(({ mountPoint, type }) => ({
        path: path.join(roots.root, mountPoint),
        lane: laneOf(type),
      })),
    );
    return mounts.map(({ device, mountPoint, type, readOnly }, i) => ({
      device,
      mountPoint,
      type,
      readOnly,
      usage: sizes[i]?.usage ?? null,
      error: sizes[i]?.error ?? null,
    }));
  };

  let shared: { readonly sinceMs: number; readonly looked: Promise<readonly Filesystem[]> } | null =
    null;
  let looking = false;
  const filesystems = (): Promise<readonly Filesystem[]> => {
    const nowMs = clock.monotonic();
    if (shared !== null && (looking || nowMs - shared.sinceMs < sharedForMs)) return shared.looked;
    looking = true;
    const looked = look().finally(() => {
      looking = false;
    });
    shared = { sinceMs: nowMs, looked };
    return looked;
  };

  return { roots, readProc, filesystems, stuckCalls: () => lanes.stuckCalls() };
}
