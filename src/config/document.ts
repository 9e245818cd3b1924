import type { Fault } from "../core/errors.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { ChannelSpec } from "../core/delivery.ts";
import type { Inhibition, QuietHours } from "../core/mute.ts";
import type { Rule } from "../core/rule.ts";
import { kindOf, type Parsed } from "../base/parse.ts";
import { unknownKey } from "../base/text.ts";
import { leavesOf, type settingsTable } from "./settings.ts";

/** How rules, channels and what holds messages back are read; each with the path its list stands at. */
export interface ListParsers {
  rules(input: readonly unknown[], path: string): Parsed<readonly Rule[]>;
  channels(input: readonly unknown[], path: string): Parsed<readonly ChannelSpec[]>;
  quietHours(input: readonly unknown[], path: string): Parsed<readonly QuietHours[]>;
  inhibit(input: readonly unknown[], path: string): Parsed<readonly Inhibition[]>;
}

type Table = ReturnType<typeof settingsTable>;

/** What may change while the agent runs. */
function runtimeKeys(table: Table): readonly string[] {
  const keep = /^(metrics|alerts)\./;
  return leavesOf(table)
    .map(({ key }) => key)
    .filter((key) => keep.test(key) && key !== "alerts.precedence");
}

const minuteMs = 60_000;

function section(input: unknown, name: string, faults: Fault[]): Readonly<Record<string, unknown>> {
  if (input === undefined || input === null) return {};
  if (typeof input === "object" && !Array.isArray(input))
    return input as Readonly<Record<string, unknown>>; // proof: a plain object, as JSON and YAML give
  faults.push({ path: name, message: `expected an object, got ${kindOf(input)}` });
  return {};
}

/** Every present setting of the two sections, checked by the same formats as the file. */
function readSettings(
  sections: Readonly<Record<string, Readonly<Record<string, unknown>>>>,
  table: Table,
  faults: Fault[],
): Map<string, unknown> {
  const keys = runtimeKeys(table);
  const leaves = new Map(leavesOf(table).map((leaf) => [leaf.key, leaf.setting]));
  const found = new Map<string, unknown>();
  for (const [name, values] of Object.entries(sections))
    for (const [key, value] of Object.entries(values)) {
      const path = `${name}.${key}`;
      const setting = keys.includes(path) ? leaves.get(path) : undefined;
      if (setting === undefined) {
        const known = keys
          .filter((other) => other.startsWith(`${name}.`))
          .map((other) => other.slice(name.length + 1));
        faults.push({ path, message: unknownKey(key, known) });
        continue;
      }
      const checked = setting.format.parse(value);
      if ("fault" in checked) faults.push({ path, message: checked.fault });
      else found.set(path, checked.value);
    }
  return found;
}

function collect<T>(parsed: Parsed<readonly T[]>, faults: Fault[]): readonly T[] {
  if (parsed.ok) return parsed.value;
  faults.push(...parsed.faults);
  return [];
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]: V }); // proof: a computed key widens to string
}

/** Found values with the types their formats gave them. */
function typed(found: Map<string, unknown>): Partial<RuntimeValues> {
  return Object.fromEntries(found); // proof: each value was parsed by the format of its key
}

interface RuntimeValues {
  "metrics.collection_interval": number;
  "metrics.retention_days": number;
  "metrics.tier_retention_days": number;
  "metrics.collectors": Readonly<Record<string, boolean>>;
  "alerts.cooldown_minutes": number;
  "alerts.repeat": NonNullable<PolicyDocument["alerts"]["repeat"]>;
  "alerts.language": NonNullable<PolicyDocument["alerts"]["language"]>;
  "alerts.send_resolved": boolean;
  "alerts.history_days": number;
  "alerts.default_rules": boolean;
  "alerts.rules": readonly unknown[];
  "alerts.channels": readonly unknown[];
  "alerts.quiet_hours": readonly unknown[];
  "alerts.inhibit": readonly unknown[];
}

const knownSections = ["metrics", "alerts"] as const;

/**
 * A reader for what a source may say at run time: `{metrics: {…}, alerts: {…, rules: […], channels: […]}}`.
 * All or nothing: one fault anywhere refuses the whole document, with every fault told.
 */
export function createDocumentParser(
  table: Table,
  lists: ListParsers,
): (input: unknown) => Parsed<PolicyDocument> {
  return (input) => {
    const faults: Fault[] = [];
    const root = section(input, "", faults);
    for (const key of Object.keys(root))
      if (!knownSections.some((name) => name === key))
        faults.push({ path: key, message: unknownKey(key, knownSections) });
    const sections = {
      metrics: section(root["metrics"], "metrics", faults),
      alerts: section(root["alerts"], "alerts", faults),
    };
    const found = typed(readSettings(sections, table, faults));
    const rules = collect(lists.rules(found["alerts.rules"] ?? [], "alerts.rules"), faults);
    const channels = collect(
      lists.channels(found["alerts.channels"] ?? [], "alerts.channels"),
      faults,
    );
    const mutes = readMutes(found, lists, faults);
    if (faults.length > 0) return { ok: false, faults };
    const { metrics, alerts } = settingsOf(found);
    return { ok: true, value: { rules, channels, metrics, alerts: { ...alerts, ...mutes } } };
  };
}

/** What holds messages back; a list that is not given is no opinion. */
function readMutes(
  found: Partial<RuntimeValues>,
  lists: ListParsers,
  faults: Fault[],
): Pick<PolicyDocument["alerts"], "quietHours" | "inhibit"> {
  const { "alerts.quiet_hours": hours, "alerts.inhibit": inhibit } = found;
  const read = <T>(
    input: readonly unknown[] | undefined,
    parse: (input: readonly unknown[]) => Parsed<readonly T[]>,
  ): readonly T[] | undefined => (input === undefined ? input : collect(parse(input), faults));
  return {
    ...given(
      "quietHours",
      read(hours, (input) => lists.quietHours(input, "alerts.quiet_hours")),
    ),
    ...given(
      "inhibit",
      read(inhibit, (input) => lists.inhibit(input, "alerts.inhibit")),
    ),
  };
}

function scaled(value: number | undefined, factor: number): number | undefined {
  return value === undefined ? undefined : value * factor;
}

function settingsOf(found: Partial<RuntimeValues>): Pick<PolicyDocument, "metrics" | "alerts"> {
  return {
    metrics: {
      ...given("collectionIntervalMs", scaled(found["metrics.collection_interval"], 1_000)),
      ...given("retentionDays", found["metrics.retention_days"]),
      ...given("tierRetentionDays", found["metrics.tier_retention_days"]),
      ...given("collectors", found["metrics.collectors"]),
    },
    alerts: {
      ...given("cooldownMs", scaled(found["alerts.cooldown_minutes"], minuteMs)),
      ...given("repeat", found["alerts.repeat"]),
      ...given("language", found["alerts.language"]),
      ...given("sendResolved", found["alerts.send_resolved"]),
      ...given("historyDays", found["alerts.history_days"]),
      ...given("defaultRules", found["alerts.default_rules"]),
    },
  };
}
