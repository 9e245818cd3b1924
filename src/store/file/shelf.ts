import { createHash } from "node:crypto";
import path from "node:path";
import type { Log } from "../../core/ports.ts";
import { RecordLog } from "./log.ts";
import type { LogPlace } from "./place.ts";

/** Open files; a question for a week opens one after the other. */
const maxOpen = 8;

/** A name that a filesystem takes is 255 bytes, of which ours add some. */
const longestName = 200;

/** The directory of a node's files. */
export function nodeDirectory(root: string, node: string): string {
  const name = encodeURIComponent(node.toWellFormed());
  const short = createHash("sha256").update(node).digest("hex");
  return path.join(root, name.length <= longestName ? name : short);
}

/** Logs that are open, and opens those that are wanted. */
export interface Shelf {
  use<T>(place: LogPlace, work: (log: RecordLog) => Promise<T>): Promise<T>;
  /** Has what was written on disk. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

interface Kept {
  readonly log: RecordLog;
  users: number;
}

/** Keeps the logs that were used last open. `onLost`: a file that was open is gone, and not by us. */
export function createShelf(log: Log, onLost: () => void): Shelf {
  const shelf = new Map<string, Kept>();
  const take = (place: LogPlace): Kept => {
    const at = path.join(place.dir, place.name);
    const kept = shelf.get(at) ?? { log: new RecordLog({ ...place, log, onLost }), users: 0 };
    shelf.delete(at);
    shelf.set(at, kept);
    return kept;
  };
  const tidy = async (): Promise<void> => {
    for (const [at, { log, users }] of shelf) {
      if (shelf.size <= maxOpen) return;
      if (users > 0) continue;
      shelf.delete(at);
      await log.close();
    }
  };
  return {
    use: async (place, work) => {
      const kept = take(place);
      kept.users++;
      try {
        return await work(kept.log);
      } finally {
        kept.users--;
        await tidy();
      }
    },
    sync: async () => {
      for (const { log } of shelf.values()) await log.sync();
    },
    close: async () => {
      const all = [...shelf.values()];
      shelf.clear();
      for (const { log } of all) await log.close();
    },
  };
}
