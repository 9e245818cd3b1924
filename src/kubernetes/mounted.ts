import { lstatSync, readFileSync, readdirSync, realpathSync } from "node:fs";
import path from "node:path";
import { AgentError, codeOf, errorText } from "../core/errors.ts";

/** Keys of the ConfigMap that hold rules and channels; exactly one of them is there. */
const configKeys = ["config.yaml", "config.yml", "config.json"] as const;

/** The text under one of the keys, that there is none, or what is wrong with the keys. */
export type Found =
  | { readonly kind: "text"; readonly key: string; readonly text: string }
  | { readonly kind: "wrong"; readonly fault: string };

/** The one text of a ConfigMap's data. */
export function findConfig(data: Readonly<Record<string, string>>): Found {
  const [key, other] = configKeys.filter((name) => data[name] !== undefined);
  if (key === undefined) {
    const there = Object.keys(data).sort().join(", ");
    const fault = `expected the key config.yaml or config.json, got ${there === "" ? "none" : there}`;
    return { kind: "wrong", fault };
  }
  if (other !== undefined)
    return { kind: "wrong", fault: `has both ${key} and ${other}; keep one` };
  return { kind: "text", key, text: data[key] ?? "" };
}

/** A ConfigMap as the kubelet mounts it. */
export type Mounted =
  /** Nothing is mounted there. */
  | { readonly kind: "no-mount" }
  /** It is mounted and there is nothing in it: there is no such ConfigMap. */
  | { readonly kind: "absent"; readonly sinceMs: number }
  | {
      readonly kind: "data";
      readonly data: Readonly<Record<string, string>>;
      /** Since when it has been mounted so, Unix milliseconds. */
      readonly sinceMs: number;
    };

/** The kubelet puts a version in place by a new link `..data`; what is no kubelet's mount has the directory's own time. */
function sinceMsOf(dir: string): number {
  const link = lstatSync(path.join(dir, "..data"), { throwIfNoEntry: false });
  return (link ?? lstatSync(dir)).mtimeMs;
}

/** Reads the keys of a mounted ConfigMap; other entries (`..data` and the like) are the kubelet's own. */
export function readMounted(dir: string): Mounted {
  let names: string[];
  try {
    names = readdirSync(dir).filter((name) => !name.startsWith(".."));
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return { kind: "no-mount" };
    throw cause;
  }
  const sinceMs = sinceMsOf(dir);
  if (names.length === 0) return { kind: "absent", sinceMs };
  const known = names.filter((name) => configKeys.some((key) => key === name));
  const data = Object.fromEntries(
    names.map((name) => [
      name,
      known.includes(name) ? readFileSync(path.join(dir, name), "utf8") : "",
    ]),
  );
  return { kind: "data", data, sinceMs };
}

function isBelow(place: string, dir: string): boolean {
  return place.startsWith(dir + path.sep);
}

/**
 * Reads files that a document from the cluster names: only below one directory, wherever links lead, since who may
 * change a ConfigMap must not read this host's files through the agent. Throws INPUT_INVALID.
 */
export function secretReader(dir: string | null): (file: string) => string {
  return (file) => {
    if (dir === null)
      throw new AgentError("INPUT_INVALID", "no directory for secrets (kubernetes.secrets_dir)");
    try {
      const inside = realpathSync(file);
      if (isBelow(inside, realpathSync(dir))) return readFileSync(inside, "utf8");
    } catch (cause) {
      // Of other files not even that they are missing is told.
      if (isBelow(path.resolve(file), path.resolve(dir)))
        throw new AgentError("INPUT_INVALID", errorText(cause), { cause });
    }
    throw new AgentError("INPUT_INVALID", `only files below ${dir} may be named here`);
  };
}
