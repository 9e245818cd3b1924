import { deadline, untilAborted } from "../base/every.ts";
import { type Evidence, type Pressures, pressureNames, type ProcessUse } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";
import type { Host } from "./contract.ts";
import { nameOwners, plainOwner } from "./owners.ts";
import { parseCgroup, type CgroupOwner } from "./proc/cgroup.ts";
import { parsePressure } from "./proc/pressure.ts";
import { type Kind, kindOf, tryTo, type Use, type UsesDeps } from "./uses.ts";

/** Looks for what may have caused an alert. */
export interface EvidenceFinder {
  /**
   * The pressure on the host, and the processes that use most of what an index is about; without processes for an index
   * of which they say nothing, and when they cannot be read. Never rejects, and takes 300 ms at most.
   */
  about(index: string): Promise<Evidence>;
}

export interface EvidenceDeps extends UsesDeps {
  readonly log: Log;
}

/** An alert waits for its evidence no longer. */
const deadlineMs = 300;
/** How long one look serves every alert of the same tick. */
const sharedForMs = 1_000;
const noOwner: CgroupOwner = { container: null, podUid: null, unit: null };

/** Null: the kernel has none (before 4.20, or with `psi=0`), or none that can be read. */
function pressureOn(host: Host): Pressures | null {
  const found = pressureNames.flatMap((name) => {
    const pressure = tryTo(() => parsePressure(host.readProc(`pressure/${name}`)));
    return pressure === null ? [] : [[name, pressure] as const];
  });
  return found.length === 0 ? null : Object.fromEntries(found);
}

/** Looks at a host and its processes; nothing is read before somebody asks. */
export function createEvidence(deps: EvidenceDeps): EvidenceFinder {
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

  const biggest = (kind: Kind): Promise<readonly ProcessUse[] | null> => {
    const sinceMs = clock.monotonic();
    const last = shared.get(kind);
    if (last !== undefined && sinceMs - last.sinceMs < sharedForMs) return last.found;
    const found = find(kind);
    shared.set(kind, { sinceMs, found });
    return found;
  };

  return {
    about: async (index) => {
      // Before the processes: it is of the moment in which it fired.
      const pressure = pressureOn(host);
      const kind = kindOf(index);
      return { processes: kind === undefined ? null : await biggest(kind), pressure };
    },
  };
}
