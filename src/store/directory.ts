import { mkdir } from "node:fs/promises";
import path from "node:path";
import { codeOf, errorText } from "../core/errors.ts";
import type { Log } from "../core/ports.ts";

/** A directory that only its owner reads: channel settings in it hold secrets. */
const ownerOnly = 0o700;

/**
 * Makes a directory and what is above it. Not by `recursive: true`: below /proc, where nothing can be made, that spins
 * in the thread pool for ever.
 */
export async function ensureDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir, { mode: ownerOnly });
  } catch (cause) {
    if (codeOf(cause) === "EEXIST") return;
    if (codeOf(cause) !== "ENOENT" || path.dirname(dir) === dir) throw cause;
    await ensureDirectory(path.dirname(dir));
    await mkdir(dir, { mode: ownerOnly });
  }
}

/** Says once that a directory cannot be written and once that it can again, whoever of those who write notices. */
export interface DirectoryReport {
  failed(writer: string, cause: unknown): void;
  worked(writer: string): void;
}

/** The one who tells about `storage.dir`. */
export function createDirectoryReport(dir: string, log: Log): DirectoryReport {
  const failing = new Set<string>();
  return {
    failed: (writer, cause) => {
      if (failing.size === 0)
        log.warn("storage.dir not writable; going on in memory", { dir, cause: errorText(cause) });
      failing.add(writer);
    },
    worked: (writer) => {
      if (failing.delete(writer) && failing.size === 0)
        log.info("storage.dir writable again", { dir });
    },
  };
}
