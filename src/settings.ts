import { readFileSync } from "node:fs";
import { AgentError, errorText, type Fault } from "./core/errors.ts";
import type { PolicyDocument } from "./core/policy.ts";
import type { Parsed } from "./base/parse.ts";
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
}

export const table = settingsTable({
  backends: backends.map(({ name }) => name),
  collectors: collectorNames,
});

/** Taken when no other is named, and not missed when it is not there. */
const defaultPath = "config/default.json";

function readText(path: string): string {
  return readFileSync(path, "utf8");
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && "code" in cause && cause.code === "ENOENT";
}

/** Reads documents of sources; `readFile` reads what `*_file` settings name. */
export function documentParser(
  readFile: (path: string) => string,
): (input: unknown) => Parsed<PolicyDocument> {
  return createDocumentParser(table, {
    rules: parseRules,
    channels: (input, path) => parseChannels(input, path, { readFile }),
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
): Promise<{ path: string | null; input: unknown }> {
  try {
    const from = path ?? defaultPath;
    return { path: from, input: await parseConfigText(readText(from), from) };
  } catch (cause) {
    if (path === null && isMissing(cause)) return { path: null, input: undefined };
    if (cause instanceof AgentError) throw cause;
    throw wrongSettings([
      { path: path ?? defaultPath, message: `cannot be read: ${errorText(cause)}` },
    ]);
  }
}

function listsOf(input: unknown): { rules: unknown; channels: unknown } {
  const alerts: unknown =
    typeof input === "object" && input !== null && "alerts" in input ? input.alerts : undefined;
  const part = (name: "rules" | "channels"): unknown =>
    typeof alerts === "object" && alerts !== null && name in alerts
      ? (alerts as Record<string, unknown>)[name]
      : undefined; // proof: `in` has just said so
  return { rules: part("rules") ?? [], channels: part("channels") ?? [] };
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

/**
 * Loads the configuration from a file (null: `config/default.json`, if it is there) and the environment.
 * Throws CONFIG_INVALID with every fault of settings, rules and channels at once.
 */
export async function loadSettings(
  path: string | null,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Settings> {
  const file = await readConfigFile(path);
  const parse = documentParser(readText);
  const faults: Fault[] = [];
  let loaded: LoadedConfig | null = null;
  try {
    loaded = loadConfig(table, { file: file.input, env, readFile: readText });
  } catch (cause) {
    if (!(cause instanceof AgentError)) throw cause;
    faults.push(...cause.faults);
  }
  const { rules, channels } = listsOf(file.input);
  const said = loaded === null ? { metrics: {}, alerts: {} } : opinions(loaded);
  const lists = {
    ...(Array.isArray(rules) ? { rules } : {}),
    ...(Array.isArray(channels) ? { channels } : {}),
  };
  const document = parse({ metrics: said.metrics, alerts: { ...said.alerts, ...lists } });
  if (!document.ok) faults.push(...document.faults);
  if (loaded === null || !document.ok) throw wrongSettings(faults);
  return { config: loaded.config, document: document.value, path: file.path };
}
