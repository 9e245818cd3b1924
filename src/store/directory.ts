import { mkdir } from "node:fs/promises";
import path from "node:path";
import { codeOf } from "../core/errors.ts";

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
