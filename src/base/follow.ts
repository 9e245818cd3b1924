import { readdirSync, statSync, type BigIntStats } from "node:fs";
import { codeOf } from "../core/errors.ts";
import type { Clock, Running } from "../core/ports.ts";
import { loop } from "./every.ts";

const lookEveryMs = 1_000;
/** Somebody is writing: after so long without a further change, that is over. */
const settleMs = 250;

/** The change time tells what the others do not: new rights, a file put back with its old date. */
function identity({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

/** What a path leads to, links followed; a directory is its visible entries, as far as one look goes. */
function stamp(path: string, deep: boolean): string {
  try {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    if (found === undefined) return "missing";
    if (!found.isDirectory()) return identity(found);
    return deep ? `{${entries(path).join()}}` : "directory";
  } catch (cause) {
    return codeOf(cause) ?? "unreadable";
  }
}

/** Hidden names are no content: `..data` of a mounted ConfigMap, whose keys lead through it, and files of editors. */
function entries(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.startsWith("."))
    .sort()
    .map((name) => `${name}=${stamp(`${directory}/${name}`, false)}`);
}

/** A text that is another when the content of a file or of a directory's visible entries may be another. */
export function fingerprint(paths: readonly string[]): string {
  return paths.map((path) => `${path}=${stamp(path, true)}`).join("\n");
}

/**
 * Tells when files, or directories with the files in them, have changed and are at rest again, so that nobody reads a
 * file half written. Another list of paths is a change too. Looks wait until `onChange` is done, which so must not stop them
 * and wait for that; when it fails, `onError` is told, and the next change is another one.
 *
 * It polls, at some 20 µs a look for six files: inotify runs out of instances on busy nodes
 * (`fs.inotify.max_user_instances`) and loses renames over overlay and network mounts, and a rename is all that happens
 * to a mounted ConfigMap or Secret (the link `..data` is replaced, no key is touched). The calls are synchronous: a
 * mount that hangs would hold up the process, so only what is named in the configuration is followed.
 */
export function followFiles(
  clock: Clock,
  paths: readonly string[] | (() => readonly string[]),
  onChange: () => void | Promise<void>,
  onError: (cause: unknown) => void,
): Running {
  const look = (): string => fingerprint(typeof paths === "function" ? paths() : paths);
  let known = look();
  let last = known;
  const step = async (signal: AbortSignal): Promise<number> => {
    const now = look();
    const atRest = now === last;
    last = now;
    if (now === known) return lookEveryMs;
    if (!atRest) return settleMs;
    known = now;
    if (!signal.aborted) await onChange();
    return lookEveryMs;
  };
  return loop(clock, step, (cause) => {
    onError(cause);
    return lookEveryMs;
  });
}
