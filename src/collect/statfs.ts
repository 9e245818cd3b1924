import { deadline } from "../base/every.ts";
import { codeOf, errorText } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import type { Filesystem, FilesystemUsage } from "./filesystems.ts";
import type { Lane } from "./mounts.ts";

/** What `statfs(2)` answers; `frsize`, the unit of the block counts, is there from Node 24 on. */
export interface StatfsAnswer {
  readonly bsize: number;
  readonly frsize?: number | undefined;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

/** Asks for the sizes of the filesystem that holds a path; may never answer. */
export type Statfs = (path: string) => Promise<StatfsAnswer>;

/** The sizes of a filesystem, or why they could not be had. */
export type SizeLook = Pick<Filesystem, "usage" | "error">;

/** One filesystem to ask about. */
export interface SizeQuestion {
  readonly path: string;
  readonly lane: Lane;
}

/** Asks for sizes so that dead filesystems cost a bounded number of threads and a bounded time. */
export interface StatfsLanes {
  /** All answers in the order of the questions, after 2 s at the latest. */
  look(questions: readonly SizeQuestion[]): Promise<readonly SizeLook[]>;
  /** Calls that overran their deadline and still hold a thread; the process cannot exit by itself while there are any. */
  stuckCalls(): number;
}

/** A disk under full load answers within this; longer waits would delay a sample by a noticeable part of its slot. */
const deadlineMs = 2_000;

/** Of the eight threads of the pool both lanes can hold four; the others are left for everybody else. */
const callsPerLane = 2;

const noAnswer: SizeLook = { usage: null, error: `no answer in ${deadlineMs / 1_000} s` };

function usageOf({
  bsize,
  frsize,
  blocks,
  bfree,
  bavail,
  files,
  ffree,
}: StatfsAnswer): FilesystemUsage {
  const unitBytes = frsize || bsize;
  return {
    sizeBytes: blocks * unitBytes,
    freeBytes: bfree * unitBytes,
    availableBytes: bavail * unitBytes,
    files,
    filesFree: ffree,
  };
}

interface LaneCalls {
  look(path: string, timeUp: AbortSignal): Promise<SizeLook>;
  stuck(): number;
}

function createLane(statfs: Statfs): LaneCalls {
  const inFlight = new Set<string>();
  const stuck = new Set<string>();
  let waiting: (() => void)[] = [];

  const call = async (path: string): Promise<SizeLook> => {
    inFlight.add(path);
    try {
      return { usage: usageOf(await statfs(path)), error: null };
    } catch (cause) {
      return { usage: null, error: codeOf(cause) ?? errorText(cause) };
    } finally {
      inFlight.delete(path);
      stuck.delete(path);
      waiting.shift()?.();
    }
  };

  const look = (path: string, timeUp: AbortSignal): Promise<SizeLook> =>
    new Promise((resolve) => {
      if (inFlight.has(path)) {
        resolve(noAnswer);
        return;
      }
      const begin = (): void => void call(path).then(resolve);
      const giveUp = (): void => {
        if (waiting.includes(begin)) {
          waiting = waiting.filter((other) => other !== begin);
          resolve({ usage: null, error: `lane is full: ${inFlight.size} calls are stuck` });
        } else if (inFlight.has(path)) {
          stuck.add(path);
          resolve(noAnswer);
        }
      };
      timeUp.addEventListener("abort", giveUp, { once: true });
      if (inFlight.size < callsPerLane) begin();
      else waiting.push(begin);
    });

  return { look, stuck: () => stuck.size };
}

/** Lanes of at most two calls each, stuck ones included: one for local filesystems, one for network and FUSE. */
export function createStatfsLanes(clock: Clock, statfs: Statfs): StatfsLanes {
  const lanes: Readonly<Record<Lane, LaneCalls>> = {
    local: createLane(statfs),
    network: createLane(statfs),
  };
  return {
    look: async (questions) => {
      const timeUp = deadline(clock, deadlineMs);
      try {
        return await Promise.all(
          questions.map(({ path, lane }) => lanes[lane].look(path, timeUp.signal)),
        );
      } finally {
        timeUp.clear();
      }
    },
    stuckCalls: () => lanes.local.stuck() + lanes.network.stuck(),
  };
}
