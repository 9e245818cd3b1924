import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { AgentError, codeOf, errorText, type Fault } from "./core/errors.ts";
import type { PolicyDocument } from "./core/policy.ts";
import { parseInhibitions, parseQuietHours } from "./alerts/mute-schema.ts";
import type { Parsed } from "./base/parse.ts";
import { same } from "./base/same.ts";
import { collectorNames } from "./collect/index.ts";
import { createDocumentParser } from "./config/document.ts";
import { parseConfigText } from "./config/file.ts";
import { loadConfig, wrongSettings, type LoadedConfig } from "./config/load.ts";
import { settingsTable, type Config } from "./config/settings.ts";
import { parseChannels } from "./notify/settings.ts";
import { parseRules } from "./rules/schema.ts";
import { backends } from "./store/index.ts";

/** All the agent is told at its start. */
export interface Settings {
  readonly config: Config;
  /** What the file and the environment say of what may change at run time: the document of the source `file`. */
  readonly document: PolicyDocument;
  /** The file it came from; null: there was none. */
  readonly path: string | null;
  /** Every file it was read from, or would have been had it been there: the config file and what it names. */
  readonly files: readonly string[];
  /** Hashes of the files that settings name and only their users read. */
  readonly contents: Readonly<Record<string, string | null>>;
}

type Env = Readonly<Record<string, string | undefined>>;
type ReadFile = (path: string) => string;

/** Settings, or why there are none; and the files that decide about it. */
export type Loaded = { readonly files: readonly string[] } & (
  | { readonly ok: true; readonly settings: Settings }
  | { readonly ok: false; readonly cause: unknown }
);

/** Every setting of the file and the environment, with the names that the lists know. */
export const table = settingsTable({
  backends: backends.map(({ name }) => name),
  collectors: collectorNames,
});

/** Taken when no other is named, and not missed when it is not there. */
const defaultPath = "config/default.json";

/** Reads documents of sources; `readFile` reads what `*_file` settings name. */
export function documentParser(readFile: ReadFile): (input: unknown) => Parsed<PolicyDocument> {
  return createDocumentParser(table, {
    rules: parseRules,
    channels: (input, path) => parseChannels(input, path, { readFile }),
    quietHours: parseQuietHours,
    inhibit: parseInhibitions,
  });
}

/** A document from elsewhere may not read this host's files. */
export const parseForeignDocument = documentParser(() => {
  throw new AgentError(
    "INPUT_INVALID",
    "only the agent's own config file may name files of the host",
  );
});

async function readConfigFile(
  path: string | null,
  readFile: ReadFile,
): Promise<{ path: string | null; input: unknown }> {
  try {
    const from = path ?? defaultPath;
    return { path: from, input: await parseConfigText(readFile(from), from) };
  } catch (cause) {
    if (path === null && codeOf(cause) === "ENOENT") return { path: null, input: undefined };
    if (cause instanceof AgentError) throw cause;
    throw wrongSettings([
      { path: path ?? defaultPath, message: `cannot be read: ${errorText(cause)}` },
    ]);
  }
}

/** The lists below `alerts`, which are read though other settings are wrong. */
const listNames = ["rules", "channels", "quiet_hours", "inhibit"] as const;

function listsOf(input: unknown): Readonly<Record<string, readonly unknown[]>> {
  const alerts: unknown =
    typeof input === "object" && input !== null && "alerts" in input ? input.alerts : undefined;
  if (typeof alerts !== "object" || alerts === null) return {};
  const found = alerts as Readonly<Record<string, unknown>>; // proof: an object has members of some names
  return Object.fromEntries(
    listNames.flatMap((name) => {
      const list = found[name];
      return Array.isArray(list) ? [[name, list as readonly unknown[]]] : [];
    }),
  );
}

/** What the file or the environment set of `metrics` and `alerts`; defaults are no opinion. */
function opinions({
  config,
  given,
}: LoadedConfig): Record<"metrics" | "alerts", Record<string, unknown>> {
  const chosen = (section: "metrics" | "alerts"): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(config[section]).filter(([key]) => given.has(`${section}.${key}`)),
    );
  const { precedence: _precedence, ...alerts } = chosen("alerts");
  return { metrics: chosen("metrics"), alerts };
}

/** The values of settings that name a file, however deep; the lists are read by those who know what is in them. */
function namedFiles(section: object): string[] {
  return Object.entries(section).flatMap(([key, value]: [string, unknown]) => {
    if (typeof value === "string") return key.endsWith("_file") ? [value] : [];
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? namedFiles(value)
      : [];
  });
}

function hashOf(path: string, readFile: ReadFile): string | null {
  try {
    return createHash("sha256").update(readFile(path)).digest("hex");
  } catch {
    // Who needs the file says what is wrong with it.
    return null;
  }
}

async function read(
  path: string | null,
  env: Env,
  readFile: ReadFile,
): Promise<Omit<Settings, "files">> {
  const file = await readConfigFile(path, readFile);
  const parse = documentParser(readFile);
  const faults: Fault[] = [];
  let loaded: LoadedConfig | null = null;
  try {
    loaded = loadConfig(table, { file: file.input, env, readFile });
  } catch (cause) {
    if (!(cause instanceof AgentError)) throw cause;
    faults.push(...cause.faults);
  }
  const said = loaded === null ? { metrics: {}, alerts: {} } : opinions(loaded);
  const lists = listsOf(file.input);
  const document = parse({ metrics: said.metrics, alerts: { ...said.alerts, ...lists } });
  if (!document.ok) faults.push(...document.faults);
  if (loaded === null || !document.ok) throw wrongSettings(faults);
  const { config } = loaded;
  const contents = namedFiles(config).map((name) => [name, hashOf(name, readFile)] as const);
  return {
    config,
    document: document.value,
    path: file.path,
    contents: Object.fromEntries(contents),
  };
}

/**
 * Loads the configuration from a file (null: `config/default.json`, if it is there) and the environment. What is wrong
 * is CONFIG_INVALID with every fault of settings, rules and channels at once. Never rejects.
 */
export async function tryLoadSettings(path: string | null, env: Env): Promise<Loaded> {
  const files = new Set<string>();
  const readFile = (name: string): string => {
    files.add(name);
    return readFileSync(name, "utf8");
  };
  try {
    const found = await read(path, env, readFile);
    return { ok: true, files: [...files], settings: { ...found, files: [...files] } };
  } catch (cause) {
    return { ok: false, files: [...files], cause };
  }
}

/** Like `tryLoadSettings`; throws what is wrong. */
export async function loadSettings(path: string | null, env: Env): Promise<Settings> {
  const loaded = await tryLoadSettings(path, env);
  if (!loaded.ok) throw loaded.cause;
  return loaded.settings;
}

/** The way to Redis, which may change at run time: a password, a certificate, another server. Not what is kept there. */
function wayToRedis({ config, contents }: Settings): unknown {
  const { prefix: _prefix, ...redis } = config.redis;
  return { redis, files: namedFiles(redis).map((name) => contents[name]) };
}

/** Whether another way leads to Redis, or by another right. */
export function redisDiffers(old: Settings, next: Settings): boolean {
  return !same(wayToRedis(old), wayToRedis(next));
}

/** Without the way to Redis. */
function startsWith({ config, contents }: Settings): unknown {
  const { metrics: _metrics, alerts, redis, ...others } = config;
  const ofRedis = namedFiles(redis);
  const files = Object.entries(contents).filter(([name]) => !ofRedis.includes(name));
  return { ...others, prefix: redis.prefix, files, precedence: alerts.precedence };
}

/** What of two loads differs: nothing, only what may change at run time, or what the agent is started with. */
export function difference(old: Settings, next: Settings): "none" | "runtime" | "start" {
  if (!same(startsWith(old), startsWith(next))) return "start";
  const atRunTime = (settings: Settings): unknown => {
    const { metrics, alerts } = settings.config;
    const { document } = settings;
    const { rules: _rules, channels: _channels, ...others } = alerts;
    return { metrics, alerts: others, document, redis: wayToRedis(settings) };
  };
  return same(atRunTime(old), atRunTime(next)) ? "none" : "runtime";
}
