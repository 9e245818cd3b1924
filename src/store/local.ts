import { mkdir, open, readFile, rename, unlink } from "node:fs/promises";
import path from "node:path";
import { errorText } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";

/** Small files beside the agent: what must survive a restart without Redis. */
export interface LocalFiles {
  /** The text of a file; null when it is not there or cannot be read. */
  read(name: string): Promise<string | null>;
  /** Replaces a file whole, or does nothing when the directory is not writable; never rejects. */
  write(name: string, text: string): Promise<void>;
}

/** A directory that only its owner reads: channel settings in it hold secrets. */
const ownerOnly = 0o700;
const ownerOnlyFile = 0o600;

async function replace(file: string, text: string): Promise<void> {
  const next = `${file}.${process.pid}.new`;
  const handle = await open(next, "w", ownerOnlyFile);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await rename(next, file);
  } catch (cause) {
    await unlink(next);
    throw cause;
  }
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

/**
 * Files in a directory that is made when needed. One warning when writing begins to fail, one line when it works
 * again; the agent goes on in memory in between.
 */
export function createLocalFiles(dir: string, log: Log): LocalFiles {
  const queues = new Map<string, Promise<void>>();
  const latest = new Map<string, string>();
  let failing = false;
  const writeNow = async (name: string): Promise<void> => {
    const text = latest.get(name);
    if (text === undefined) return;
    latest.delete(name);
    try {
      await mkdir(dir, { recursive: true, mode: ownerOnly });
      await replace(path.join(dir, name), text);
      if (failing) log.info("storage.dir writable again", { dir });
      failing = false;
    } catch (cause) {
      if (!failing)
        log.warn("storage.dir not writable; going on in memory", { dir, cause: errorText(cause) });
      failing = true;
    }
  };
  return {
    read: async (name) => {
      try {
        return await readFile(path.join(dir, name), "utf8");
      } catch (cause) {
        if (!isMissing(cause))
          log.warn("local file unreadable", { file: name, cause: errorText(cause) });
        return null;
      }
    },
    write: async (name, text) => {
      latest.set(name, text);
      const turn = (queues.get(name) ?? Promise.resolve()).then(() => writeNow(name));
      queues.set(name, turn);
      await turn;
    },
  };
}
