import { randomUUID } from "node:crypto";
import { access, constants, rm, stat, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { codeOf, errorText } from "../core/errors.ts";
import { failed, ok, warning, type Check, type Finding } from "./contract.ts";

const name = "storage.dir";
const costs =
  "with Redis away, a restart forgets alert states, the last good configuration and messages not yet delivered; with storage.backend: file, the history too";
const mend =
  "set storage.dir (STORAGE_DIR) to a directory the agent's user may write to; in a Pod a hostPath or emptyDir volume (fsGroup)";
/** States, configuration and a spool of messages are some hundred kilobytes. */
const leastFreeBytes = 16 * 1024 * 1024;

/** The directory itself, or the nearest above it that is there. */
async function nearest(dir: string): Promise<string> {
  try {
    await stat(dir);
    return dir;
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT" || path.dirname(dir) === dir) throw cause;
    return nearest(path.dirname(dir));
  }
}

async function tryWriting(dir: string): Promise<void> {
  const probe = path.join(dir, `.doctor-${randomUUID()}`);
  try {
    await writeFile(probe, "probe", { flag: "wx", mode: 0o600 });
  } finally {
    await rm(probe, { force: true });
  }
}

async function look(dir: string): Promise<Finding> {
  const there = await nearest(dir);
  if (!(await stat(there)).isDirectory()) throw new Error(`${there} is not a directory`);
  await (there === dir ? tryWriting(dir) : access(there, constants.W_OK | constants.X_OK));
  const { bavail, bsize } = await statfs(there);
  if (bavail * bsize < leastFreeBytes) {
    const found = `${dir}: ${Math.floor((bavail * bsize) / 1024)} KiB are free`;
    return warning(name, { found, costs, fix: "make room on its filesystem" });
  }
  return ok(name, there === dir ? `${dir} is writable` : `${dir} can be made in ${there}`);
}

/** Where small files are kept. Only a directory that is there is written to: a probe, removed at once. */
export const storageDir: Check = {
  name,
  doc: "`storage.dir` is writable, or can be made",
  costs,
  run: async ({ stateDir }) => {
    try {
      return [await look(stateDir)];
    } catch (cause) {
      return [failed(name, { found: errorText(cause), costs, fix: mend })];
    }
  },
};
