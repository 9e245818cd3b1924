import { rmdir } from "node:fs/promises";
import path from "node:path";
import { codeOf } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { dayMs } from "../slots.ts";
import type { RecordLog } from "./log.ts";
import { listFiles, type LogPlace, logName } from "./place.ts";
import { nodeDirectory, type Shelf } from "./shelf.ts";

export interface DayLogsDeps {
  readonly root: string;
  readonly clock: Clock;
  readonly shelf: Shelf;
  readonly retentionDays: () => number;
}

/** Two files a node and day: blocks, columns and schemas expire together, the tier by itself. */
export type DayFile = "blocks" | "tier";

/** When the file expires: a Unix second in digits. */
export const expiryKey = "x";

/** A file of a node and day. */
export interface Of {
  readonly node: string;
  readonly day: number;
  readonly file: DayFile;
}

/** The logs of the days; who reads does not see what has expired, who writes takes it away. */
export function createDayLogs({ root, clock, shelf, retentionDays }: DayLogsDeps) {
  const place = ({ node, day, file }: Of): LogPlace => ({
    dir: nodeDirectory(root, node),
    name: `${day}-${file}`,
  });
  const isExpired = async (log: RecordLog, day: number): Promise<boolean> => {
    const [value = null] = await log.read([expiryKey]);
    const told = value === null ? Number.NaN : Number(value.toString());
    const fallback = (day + 1 + retentionDays()) * (dayMs / 1_000);
    return (Number.isNaN(told) ? fallback : told) * 1_000 <= clock.now();
  };
  const sweepDirectory = async (dir: string): Promise<void> => {
    let kept = 0;
    for (const name of new Set((await listFiles(dir)).map(logName))) {
      const day = Number(/^(\d+)-(?:blocks|tier)$/.exec(name ?? "")?.[1] ?? Number.NaN);
      if (name === null || Number.isNaN(day)) kept++;
      else
        await shelf.use({ dir, name }, async (log) => {
          if (await isExpired(log, day)) await log.remove();
          else kept++;
        });
    }
    if (kept === 0) await removeEmpty(dir);
  };
  return {
    read: <T>(of: Of, nothing: T, work: (log: RecordLog) => Promise<T>): Promise<T> =>
      shelf.use(place(of), async (log) => ((await isExpired(log, of.day)) ? nothing : work(log))),
    write: <T>(of: Of, work: (log: RecordLog) => Promise<T>): Promise<T> =>
      shelf.use(place(of), async (log) => {
        if (await isExpired(log, of.day)) await log.remove();
        return work(log);
      }),
    /** Takes away what has expired of every node, and the directories of those that have nothing left. */
    sweep: async (): Promise<void> => {
      for (const directory of await listFiles(root))
        if (logName(directory) === null) await sweepDirectory(path.join(root, directory));
    },
  };
}

async function removeEmpty(dir: string): Promise<void> {
  try {
    await rmdir(dir);
  } catch (cause) {
    // Another agent has begun a file in it.
    if (codeOf(cause) !== "ENOTEMPTY" && codeOf(cause) !== "ENOENT") throw cause;
  }
}

export type DayLogs = ReturnType<typeof createDayLogs>;
