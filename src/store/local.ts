import { open, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { codeOf, errorText } from "../core/errors.ts";
import type { Clock, Log } from "../core/ports.ts";
import { createDirectoryReport, type DirectoryReport, ensureDirectory } from "./directory.ts";

/** Small files beside the agent: what must survive a restart without Redis. */
export interface LocalFiles {
  /** The text of a file; null when it is not there or cannot be read. */
  read(name: string): Promise<string | null>;
  /** Replaces a file whole, or does nothing when the directory is not writable; never rejects. */
  write(name: string, text: string): Promise<void>;
  /** Resolves when everything that was to be written is. */
  idle(): Promise<void>;
}

const ownerOnlyFile = 0o600;
/** A directory on a dead mount must not keep the agent from starting. */
const readDeadlineMs = 2_000;

async function replace(file: string, text: string): Promise<void> {
  const next = `${file}.${process.pid}.new`;
  try {
    const handle = await open(next, "w", ownerOnlyFile);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(next, file);
  } catch (cause) {
    await rm(next, { force: true });
    throw cause;
  }
}

/**
 * Files in a directory that is made when needed. One warning when writing begins to fail, one line when it works
 * again; the agent goes on in memory in between.
 */
export function createLocalFiles(
  dir: string,
  {
    log,
    clock,
    report = createDirectoryReport(dir, log),
  }: { log: Log; clock: Clock; report?: DirectoryReport },
): LocalFiles {
  const queues = new Map<string, Promise<void>>();
  const latest = new Map<string, string>();
  const writeNow = async (name: string): Promise<void> => {
    const text = latest.get(name);
    if (text === undefined) return;
    latest.delete(name);
    try {
      await ensureDirectory(dir);
      await replace(path.join(dir, name), text);
      report.worked("files");
    } catch (cause) {
      report.failed("files", cause);
    }
  };
  return {
    read: async (name) => {
      const enough = new AbortController();
      const late = clock.sleep(readDeadlineMs, enough.signal).then(() => null);
      try {
        const text = await Promise.race([readFile(path.join(dir, name), "utf8"), late]);
        if (text === null) log.warn("local file unreadable", { file: name, cause: "no answer" });
        return text;
      } catch (cause) {
        if (codeOf(cause) !== "ENOENT")
          log.warn("local file unreadable", { file: name, cause: errorText(cause) });
        return null;
      } finally {
        enough.abort();
      }
    },
    write: async (name, text) => {
      latest.set(name, text);
      const turn = (queues.get(name) ?? Promise.resolve()).then(() => writeNow(name));
      queues.set(name, turn);
      await turn;
    },
    idle: async () => {
      await Promise.all(queues.values());
    },
  };
}
