import { AgentError, errorText, type Fault } from "../core/errors.ts";
import { kindOf } from "../base/parse.ts";
import { unknownKey } from "../base/text.ts";
import { contradictions } from "./contradictions.ts";
import { leavesOf, type Config, type Leaf } from "./settings.ts";

/** Where settings come from besides the defaults. */
export interface ConfigSources {
  /** The parsed file; undefined: there is none. */
  readonly file: unknown;
  readonly env: Readonly<Record<string, string | undefined>>;
  readFile(path: string): string;
}

type Tree = Record<string, unknown>;

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * In a cluster, a Service named `redis` puts `REDIS_PORT=tcp://10.0.0.1:6379` into every pod of its namespace. That
 * is no setting of ours: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
const serviceLink = /^(tcp|udp|sctp):\/\//;

function usable(env: ConfigSources["env"]): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env))
    if (value !== undefined && value !== "" && !(name.endsWith("_PORT") && serviceLink.test(value)))
      found[name] = value;
  return found;
}

/** The file with `tls: true` written out, and without what is no section; faults for what nobody knows. */
function checkShape(input: unknown, leaves: readonly Leaf[], faults: Fault[]): Tree {
  if (input === undefined || input === null) return {};
  if (!isTree(input)) {
    faults.push({ path: "", message: `expected an object of settings, got ${kindOf(input)}` });
    return {};
  }
  return checkSection(input, "", leaves, faults);
}

function checkSection(
  section: Tree,
  prefix: string,
  leaves: readonly Leaf[],
  faults: Fault[],
): Tree {
  const kept: Record<string, unknown> = {};
  const names = namesUnder(prefix, leaves);
  for (const [name, value] of Object.entries(section)) {
    const key = prefix === "" ? name : `${prefix}.${name}`;
    if (!names.includes(name)) faults.push({ path: key, message: unknownKey(name, names) });
    else if (isLeaf(key, leaves)) kept[name] = value;
    else if (key === "redis.tls" && typeof value === "boolean") kept[name] = { enabled: value };
    else if (isTree(value)) kept[name] = checkSection(impliedTls(key, value), key, leaves, faults);
    else faults.push({ path: key, message: `expected an object, got ${kindOf(value)}` });
  }
  return kept;
}

/** Naming a certificate means TLS. */
function impliedTls(key: string, value: Tree): Tree {
  return key === "redis.tls" && Object.keys(value).length > 0 ? { enabled: true, ...value } : value;
}

function isLeaf(key: string, leaves: readonly Leaf[]): boolean {
  return leaves.some(
    (leaf) => leaf.key === key || (leaf.setting.secret && `${leaf.key}_file` === key),
  );
}

function namesUnder(prefix: string, leaves: readonly Leaf[]): string[] {
  const start = prefix === "" ? "" : `${prefix}.`;
  const keys = leaves.flatMap(({ key, setting }) =>
    setting.secret ? [key, `${key}_file`] : [key],
  );
  const under = keys
    .filter((key) => key.startsWith(start))
    .map((key) => key.slice(start.length).split(".")[0] ?? "");
  return [...new Set(under)];
}

function put(target: Record<string, unknown>, key: string, value: unknown): void {
  const steps = key.split(".");
  const last = steps.pop() ?? key;
  let at = target;
  for (const step of steps) {
    const next = at[step];
    if (isTree(next)) at = next;
    else at = at[step] = {};
  }
  at[last] = value;
}

/** The value at a dotted key; undefined when it, or a section above it, is not there. */
function at(tree: Tree, key: string): unknown {
  return key
    .split(".")
    .reduce<unknown>(
      (node, step) => (isTree(node) && Object.hasOwn(node, step) ? node[step] : undefined),
      tree,
    );
}

/** Reads a secret's file; a newline at its end, which every editor leaves, is not part of it. */
function fromFile(path: unknown, sources: ConfigSources): { value: unknown } | { fault: string } {
  if (typeof path !== "string")
    return { fault: `expected the path of a file, got ${kindOf(path)}` };
  try {
    return { value: sources.readFile(path).replace(/\r?\n$/, "") };
  } catch (cause) {
    return { fault: `cannot be read: ${errorText(cause)}` };
  }
}

interface Given {
  readonly file: Tree;
  readonly env: Readonly<Record<string, string>>;
}

/** Low to high: default, file, environment. */
function plainOf(leaf: Leaf, given: Given): unknown {
  const { env, format } = leaf.setting;
  const fromEnv = env === null ? undefined : given.env[env];
  if (fromEnv !== undefined) return format.fromText(fromEnv);
  const fromConfig = at(given.file, leaf.key);
  return fromConfig === undefined ? leaf.setting.default : fromConfig;
}

/** The path of the file that holds a secret; null: none. */
function fileOf(leaf: Leaf, given: Given): unknown {
  if (!leaf.setting.secret) return null;
  const { env } = leaf.setting;
  const fromEnv = env === null ? undefined : given.env[`${env}_FILE`];
  return fromEnv ?? at(given.file, `${leaf.key}_file`) ?? null;
}

/** Where people must look to mend a value: the variable when it came from one, else the key. */
function placeOf(leaf: Leaf, given: Given, suffix = ""): string {
  const env = leaf.setting.env === null ? null : leaf.setting.env + suffix.toUpperCase();
  return env !== null && given.env[env] !== undefined ? env : leaf.key + suffix;
}

/** A secret is given plainly or by a file; the environment wins over the config file across both forms. */
function winning(leaf: Leaf, given: Given): { plain: unknown; file: unknown } {
  const plain = plainOf(leaf, given);
  const file = fileOf(leaf, given);
  const plainFromEnv = placeOf(leaf, given) !== leaf.key;
  const fileFromEnv = placeOf(leaf, given, "_file") !== `${leaf.key}_file`;
  if (file === null || plainFromEnv === fileFromEnv) return { plain, file };
  return plainFromEnv ? { plain, file: null } : { plain: null, file };
}

function readLeaf(
  leaf: Leaf,
  given: Given,
  sources: ConfigSources,
): { value: unknown } | { faults: Fault[] } {
  const { plain, file } = winning(leaf, given);
  let raw = plain;
  let path = placeOf(leaf, given);
  if (file !== null) {
    const plainPath = path;
    path = placeOf(leaf, given, "_file");
    if (raw !== null)
      return { faults: [{ path, message: `both this and ${plainPath} are set; keep one` }] };
    const read = fromFile(file, sources);
    if ("fault" in read) return { faults: [{ path, message: read.fault }] };
    raw = read.value;
  }
  const checked = leaf.setting.format.parse(raw);
  return "fault" in checked ? { faults: [{ path, message: checked.fault }] } : checked;
}

/** Whether a setting was given at all, by the file or by a variable. */
function isGiven(leaf: Leaf, given: Given): boolean {
  return placeOf(leaf, given) !== leaf.key || at(given.file, leaf.key) !== undefined;
}

/** The configuration, and the keys that somebody set (the others have their defaults). */
export interface LoadedConfig {
  readonly config: Config;
  readonly given: ReadonlySet<string>;
}

/**
 * Merges defaults, file and environment (low to high) and checks every value.
 * Throws CONFIG_INVALID with every fault at once, each under its key or its variable.
 */
export function loadConfig(table: object, sources: ConfigSources): LoadedConfig {
  const leaves = leavesOf(table);
  const faults: Fault[] = [];
  const file = checkShape(sources.file, leaves, faults);
  const given: Given = { file, env: usable(sources.env) };
  const config: Record<string, unknown> = {};
  for (const leaf of leaves) {
    const read = readLeaf(leaf, given, sources);
    if ("faults" in read) faults.push(...read.faults);
    else put(config, leaf.key, read.value);
  }
  if (faults.length > 0) throw wrongSettings(faults);
  const checked = config as unknown as Config; // proof: every leaf of the table was parsed by its own format
  const together = contradictions(checked, (key) => {
    const leaf = leaves.find((one) => one.key === key);
    if (leaf === undefined) return key;
    return placeOf(leaf, given, winning(leaf, given).file === null ? "" : "_file");
  });
  if (together.length > 0) throw wrongSettings(together);
  return {
    config: checked,
    given: new Set(leaves.filter((leaf) => isGiven(leaf, given)).map(({ key }) => key)),
  };
}

/** The error that tells all faults of a configuration. */
export function wrongSettings(faults: readonly Fault[]): AgentError {
  const many = faults.length === 1 ? "1 wrong setting" : `${faults.length} wrong settings`;
  return new AgentError("CONFIG_INVALID", many, { faults });
}
