import * as v from "valibot";
import {
  flag,
  joinPath,
  kindOf,
  list,
  oneOf,
  parseWith,
  strictObject,
  text,
  type Parsed,
} from "../base/parse.ts";
import { Secret } from "../base/secret.ts";
import { unknownKey } from "../base/text.ts";
import type { ChannelSpec } from "../core/delivery.ts";
import { errorText, type Fault } from "../core/errors.ts";
import { levels } from "../core/rule.ts";
import type { AnyChannelPlugin } from "./contract.ts";
import { channelPlugins } from "./index.ts";
import { templateSettings } from "./template.ts";

/** What checking settings may use. */
export interface SettingsDeps {
  /** The text of a file; throws when it cannot be read. */
  readFile(path: string): string;
}

type Settings = Readonly<Record<string, unknown>>;

/** A name stands in URLs, metrics and store keys. */
const channelName = v.pipe(
  text,
  v.regex(
    /^[\p{L}\p{N}][\p{L}\p{N} ._-]{0,63}$/u,
    "expected up to 64 letters, digits, spaces, dots, dashes and underscores, a letter or digit first",
  ),
);

/** The settings that every channel has. */
export const common = strictObject({
  type: text,
  name: v.optional(channelName),
  enabled: v.optional(flag, true),
  levels: v.optional(
    v.nullable(v.pipe(list(oneOf(levels)), v.minLength(1, "expected a level"))),
    null,
  ),
  language: v.optional(v.nullable(oneOf(["zh-CN", "en"])), null),
  max_per_minute: v.optional(
    v.nullable(
      v.pipe(
        v.number("expected a number of messages"),
        v.integer("expected a whole number of messages"),
        v.minValue(1, "expected at least 1; to send nothing, set enabled to false"),
        v.maxValue(1_000, "expected at most 1000"),
      ),
    ),
    null,
  ),
  template: v.optional(v.nullable(templateSettings), null),
});
const commonKeys = Object.keys(common.entries);

function pick(input: Settings, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(input).filter(([key]) => keys.includes(key)));
}

function asSettings(input: unknown): Settings | null {
  // An object that is not null and no list is a record of unknown members.
  return typeof input === "object" && input !== null && !Array.isArray(input)
    ? (input as Settings)
    : null;
}

function findPlugin(
  input: Settings,
  path: string,
): { plugin: AnyChannelPlugin } | { fault: Fault } {
  const types = channelPlugins.map(({ type }) => type);
  const at = joinPath(path, ["type"]);
  const known = `known types: ${types.join(", ")}`;
  const { type } = input;
  if (type === undefined) return { fault: { path: at, message: `is required; ${known}` } };
  const plugin = channelPlugins.find((plugin) => plugin.type === type);
  if (plugin !== undefined) return { plugin };
  const got = typeof type === "string" ? JSON.stringify(type) : kindOf(type);
  return { fault: { path: at, message: `unknown type ${got}; ${known}` } };
}

interface FromFiles {
  /** By setting; empty where the file could not be used. */
  readonly values: Readonly<Record<string, string>>;
  readonly faults: readonly Fault[];
}

/** The text a file holds, without the newline an editor puts at its end; or what is wrong. */
function readSettingFile(file: unknown, deps: SettingsDeps): { text: string } | { wrong: string } {
  if (typeof file !== "string" || file === "")
    return { wrong: `expected the path of a file, got ${kindOf(file)}` };
  try {
    const text = deps.readFile(file).replace(/(\r?\n)+$/, "");
    return text === "" ? { wrong: `${file} is empty` } : { text };
  } catch (cause) {
    return { wrong: `cannot read ${file}: ${errorText(cause)}` };
  }
}

function readFiles(
  input: Settings,
  plugin: AnyChannelPlugin,
  { path, deps }: { path: string; deps: SettingsDeps },
): FromFiles {
  const values: Record<string, string> = {};
  const faults: Fault[] = [];
  for (const key of plugin.fromFile) {
    const file = input[`${key}_file`];
    if (file === undefined) continue;
    const read =
      input[key] === undefined
        ? readSettingFile(file, deps)
        : { wrong: `is given beside ${key}; give one of them` };
    values[key] = "text" in read ? read.text : "";
    if ("wrong" in read)
      faults.push({ path: joinPath(path, [`${key}_file`]), message: read.wrong });
  }
  return { values, faults };
}

/** The input with `***` wherever the parsed settings hold a secret. */
function masked(input: unknown, parsed: unknown): unknown {
  if (parsed instanceof Secret) return String(parsed);
  if (Array.isArray(input)) {
    const items: readonly unknown[] = Array.isArray(parsed) ? parsed : [];
    return input.map((item, i) => masked(item, items[i]));
  }
  const members = asSettings(input);
  if (members === null) return input;
  const of = asSettings(parsed) ?? {};
  return Object.fromEntries(
    Object.entries(members).map(([key, value]) => [key, masked(value, of[key])]),
  );
}

function shownSettings(input: Settings, settings: unknown): Settings {
  return Object.fromEntries(
    Object.entries(input).map(([key, value]) => [key, masked(value, asSettings(settings)?.[key])]),
  );
}

/** Faults of the plugin's settings; what came from a file is told under the key that names the file. */
function pluginFaults(faults: readonly Fault[], files: FromFiles, path: string): Fault[] {
  const broken = new Set(files.faults.map((fault) => fault.path));
  const keys = new Map(
    Object.keys(files.values).map((key) => [
      joinPath(path, [key]),
      joinPath(path, [`${key}_file`]),
    ]),
  );
  return faults
    .map((fault) => ({ ...fault, path: keys.get(fault.path) ?? fault.path }))
    .filter((fault) => !broken.has(fault.path));
}

function templateFaults(given: Settings, plugin: AnyChannelPlugin, path: string): Fault[] {
  if (plugin.isForMachines !== true || (given["template"] ?? null) === null) return [];
  const message = `${plugin.type} has a body of its own; a template would change nothing`;
  return [{ path: joinPath(path, ["template"]), message }];
}

/**
 * Checks one channel as a source gives it. Every fault is reported at once, unknown keys with the nearest known one, and
 * no fault shows a secret. A disabled channel is checked like any other.
 */
export function parseChannel(
  input: unknown,
  path: string,
  deps: SettingsDeps,
): Parsed<ChannelSpec> {
  const given = asSettings(input);
  if (given === null)
    return { ok: false, faults: [{ path, message: `expected an object, got ${kindOf(input)}` }] };
  const shared = parseWith(common, pick(given, commonKeys), path);
  const found = findPlugin(given, path);
  const sharedFaults = shared.ok ? [] : shared.faults;
  if ("fault" in found)
    return {
      ok: false,
      faults: [found.fault, ...sharedFaults.filter((fault) => fault.path !== found.fault.path)],
    };
  const { plugin } = found;
  const ownKeys = Object.keys(plugin.settings.entries);
  const known = [...commonKeys, ...ownKeys, ...plugin.fromFile.map((key) => `${key}_file`)];
  const unknown = Object.keys(given)
    .filter((key) => !known.includes(key))
    .map((key) => ({ path: joinPath(path, [key]), message: unknownKey(key, known) }));
  const files = readFiles(given, plugin, { path, deps });
  const own = parseWith(plugin.settings, { ...pick(given, ownKeys), ...files.values }, path);
  const faults = [
    ...unknown,
    ...sharedFaults,
    ...files.faults,
    ...templateFaults(given, plugin, path),
    ...(own.ok ? [] : pluginFaults(own.faults, files, path)),
  ];
  if (!shared.ok || !own.ok || faults.length > 0) return { ok: false, faults };
  const {
    type,
    name = type,
    enabled,
    levels,
    language,
    max_per_minute: maxPerMinute,
    template,
  } = shared.value;
  const shown = shownSettings(given, own.value);
  const of = { name, type, enabled, levels, language, maxPerMinute, template };
  return { ok: true, value: { ...of, settings: own.value, shown } };
}

/** Checks a list of channels; two of one name are a fault. */
export function parseChannels(
  input: unknown,
  path: string,
  deps: SettingsDeps,
): Parsed<readonly ChannelSpec[]> {
  if (!Array.isArray(input))
    return { ok: false, faults: [{ path, message: `expected a list, got ${kindOf(input)}` }] };
  const faults: Fault[] = [];
  const specs: ChannelSpec[] = [];
  const first = new Map<string, string>();
  for (const [i, item] of input.entries()) {
    const at = joinPath(path, [i]);
    const parsed = parseChannel(item, at, deps);
    if (!parsed.ok) {
      faults.push(...parsed.faults);
      continue;
    }
    const { name } = parsed.value;
    const other = first.get(name);
    if (other !== undefined)
      faults.push({
        path: joinPath(at, ["name"]),
        message: `"${name}" is the name of ${other} too; give one of them another name`,
      });
    else first.set(name, at);
    specs.push(parsed.value);
  }
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: specs };
}

/** What works but should be known about a channel, each with the setting it is about. */
export function channelWarnings(spec: ChannelSpec): readonly string[] {
  const plugin = channelPlugins.find(({ type }) => type === spec.type);
  return plugin?.warnings(spec.settings) ?? [];
}
