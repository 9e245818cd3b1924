import { randomUUID } from "node:crypto";
import { type FileHandle, link, open, readdir, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { codeOf } from "../../core/errors.ts";
import { ensureDirectory } from "../directory.ts";

/** Where a log is kept: as `<dir>/<name>.<generation>.log`, the highest generation counts. */
export interface LogPlace {
  readonly dir: string;
  readonly name: string;
}

const ownerOnlyFile = 0o600;

const suffix = ".log";
const temporary = ".new";

/** The file of a generation. */
export function logFile({ dir, name }: LogPlace, generation: number): string {
  return path.join(dir, `${name}.${generation}${suffix}`);
}

/** The name of the log a file belongs to; null: it is none. */
export function logName(file: string): string | null {
  return /^(.+)\.\d+\.log$/.exec(file)?.[1] ?? null;
}

function generationOf(name: string, file: string): number | null {
  if (!file.startsWith(`${name}.`)) return null;
  const digits = /^(\d{1,15})\.log(?:\..+\.new)?$/.exec(file.slice(name.length + 1))?.[1];
  return digits === undefined ? null : Number(digits);
}

/** The files of a directory; none when it is not there. */
export async function listFiles(dir: string): Promise<readonly string[]> {
  try {
    return await readdir(dir);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return [];
    throw cause;
  }
}

/** The newest generation of a log; null when there is none. */
export async function newestGeneration({ dir, name }: LogPlace): Promise<number | null> {
  let newest: number | null = null;
  for (const file of await listFiles(dir)) {
    const generation = file.endsWith(suffix) ? generationOf(name, file) : null;
    if (generation !== null) newest = Math.max(newest ?? 0, generation);
  }
  return newest;
}

/** Removes older generations, and what was begun of this or an older one: the generation is there already. */
async function removeUpTo({ dir, name }: LogPlace, generation: number): Promise<void> {
  for (const file of await listFiles(dir)) {
    const found = generationOf(name, file);
    if (found === null || found > generation) continue;
    if (found < generation || file.endsWith(temporary))
      await rm(path.join(dir, file), { force: true });
  }
}

/** Removes a log whole. */
export async function removeLog(place: LogPlace): Promise<void> {
  await removeUpTo(place, Number.MAX_SAFE_INTEGER);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return false;
    throw cause;
  }
}

/** What filesystems without hard links answer: FAT, some of FUSE and of network shares. */
const noLinks = new Set(["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"]);

/** Gives a file its final name unless that is taken. */
async function claim(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (cause) {
    const code = codeOf(cause) ?? "";
    // Whoever was faster has the name, or had it and has removed what others had begun.
    if (code === "EEXIST" || code === "ENOENT") return;
    if (!noLinks.has(code)) throw cause;
    // Two processes at the same moment could both get here, but only one agent at a time on such filesystems.
    if (!(await exists(to))) await rename(from, to);
  }
}

/** Makes a new name in a directory survive a power loss. */
async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a generation unless another process was faster, and removes the ones before it. `fill` writes its content. */
export async function publish(
  place: LogPlace,
  generation: number,
  fill: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  await ensureDirectory(place.dir);
  const file = logFile(place, generation);
  const begun = `${file}.${randomUUID()}${temporary}`;
  try {
    const handle = await open(begun, "wx", ownerOnlyFile);
    try {
      await fill(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await claim(begun, file);
    await syncDirectory(place.dir);
  } finally {
    await rm(begun, { force: true });
  }
  await removeUpTo(place, generation);
}
