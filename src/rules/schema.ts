import * as v from "valibot";
import type { Fault } from "../core/errors.ts";
import {
  breaches,
  byLevel,
  levels,
  operators,
  type Level,
  type Operator,
  type Rule,
} from "../core/rule.ts";
import {
  durationMs,
  finite,
  flag,
  list,
  oneOf,
  parseWith,
  strictObject,
  text,
  type Parsed,
} from "../base/parse.ts";
import { nodes } from "./nodes.ts";

/** Words some admin servers send for operators. */
const spelt: Readonly<Record<string, Operator>> = { gt: ">", gte: ">=", lt: "<", lte: "<=" };

const operator = v.pipe(
  v.unknown(),
  v.transform((input) => (typeof input === "string" ? (spelt[input] ?? input) : input)),
  oneOf(operators),
  v.metadata({ schema: { enum: [...operators, ...Object.keys(spelt)] } }),
);

const index = v.pipe(
  text,
  v.regex(
    /^[a-z][a-z0-9_]*$/,
    "expected the name of an index such as cpu; a series' labels go into labels",
  ),
);

const minuteMs = 60_000;

/** What a rule may say, as a source gives it. */
export const ruleSchema = strictObject({
  index,
  name: v.optional(text),
  operator: v.optional(operator, ">"),
  threshold: v.optional(finite),
  level: v.optional(oneOf(levels)),
  levels: v.optional(
    strictObject({
      info: v.optional(finite),
      warning: v.optional(finite),
      critical: v.optional(finite),
    }),
  ),
  for: v.optional(durationMs, 0),
  clear: v.optional(v.nullable(finite), null),
  keep_firing_for: v.optional(durationMs, 0),
  cooldown_minutes: v.optional(
    v.nullable(v.pipe(finite, v.minValue(0, "must not be negative"))),
    null,
  ),
  labels: v.optional(v.record(v.string(), text), {}),
  channels: v.optional(v.nullable(list(text)), null),
  nodes: v.optional(nodes, null),
  message: v.optional(v.nullable(text), null),
  runbook_url: v.optional(
    v.nullable(v.pipe(text, v.regex(/^https?:\/\//, "expected a http or https URL"))),
    null,
  ),
  enabled: v.optional(flag, true),
});

type Raw = v.InferOutput<typeof ruleSchema>;

function thresholdsOf(raw: Raw, faults: Fault[], path: string): Partial<Record<Level, number>> {
  if (raw.levels === undefined) {
    if (raw.threshold === undefined)
      faults.push({ path: `${path}.threshold`, message: "is required (or levels)" });
    return raw.threshold === undefined ? {} : { [raw.level ?? "warning"]: raw.threshold };
  }
  for (const key of ["threshold", "level"] as const)
    if (raw[key] !== undefined)
      faults.push({ path: `${path}.${key}`, message: "stands beside levels; keep one of them" });
  const found = byLevel(raw.levels);
  if (Object.keys(found).length === 0)
    faults.push({ path: `${path}.levels`, message: "names no level" });
  return found;
}

/** `cpu>warning`, of several levels `cpu>warning/critical`. */
function defaultName(raw: Raw, thresholds: Partial<Record<Level, number>>): string {
  return `${raw.index}${raw.operator}${levels.filter((level) => thresholds[level] !== undefined).join("/")}`;
}

function checkOrder(rule: Rule, faults: Fault[], path: string): void {
  const present = levels.filter((level) => rule.thresholds[level] !== undefined);
  const values = present.map((level) => rule.thresholds[level] ?? 0);
  const rising = rule.operator === ">" || rule.operator === ">=";
  values.forEach((value, at) => {
    const lower = values[at - 1];
    if (lower === undefined || (rising ? value > lower : value < lower)) return;
    const side = rising ? "above" : "below";
    faults.push({
      path: `${path}.levels.${present[at]}`,
      message: `must be ${side} ${present[at - 1]} (${lower})`,
    });
  });
  const lowest = values[0];
  if (rule.clear === null || lowest === undefined || rule.clear === lowest) return;
  if (breaches(rule.operator, rule.clear, lowest))
    faults.push({
      path: `${path}.clear`,
      message: `must not itself breach ${rule.operator} ${lowest}`,
    });
}

function toRule(raw: Raw, thresholds: Partial<Record<Level, number>>): Rule {
  return {
    name: raw.name ?? defaultName(raw, thresholds),
    index: raw.index,
    operator: raw.operator,
    thresholds,
    forMs: raw.for,
    clear: raw.clear,
    keepFiringForMs: raw.keep_firing_for,
    cooldownMs: raw.cooldown_minutes === null ? null : raw.cooldown_minutes * minuteMs,
    labels: raw.labels,
    channels: raw.channels,
    nodes: raw.nodes,
    message: raw.message,
    runbookUrl: raw.runbook_url,
    enabled: raw.enabled,
  };
}

/** Reads one rule as a source gives it; every fault with its path. */
export function parseRule(input: unknown, path: string): Parsed<Rule> {
  const raw = parseWith(ruleSchema, input, path);
  if (!raw.ok) return raw;
  const faults: Fault[] = [];
  const rule = toRule(raw.value, thresholdsOf(raw.value, faults, path));
  checkOrder(rule, faults, path);
  return faults.length === 0 ? { ok: true, value: rule } : { ok: false, faults };
}

/** Reads a source's list of rules; two of one name are a fault, since names decide what wins. */
export function parseRules(input: readonly unknown[], path: string): Parsed<readonly Rule[]> {
  const faults: Fault[] = [];
  const rules: Rule[] = [];
  input.forEach((item, at) => {
    const parsed = parseRule(item, `${path}[${at}]`);
    if (!parsed.ok) return faults.push(...parsed.faults);
    if (rules.some(({ name }) => name === parsed.value.name))
      return faults.push({
        path: `${path}[${at}].name`,
        message: `"${parsed.value.name}" is the name of another rule here`,
      });
    return rules.push(parsed.value);
  });
  return faults.length === 0 ? { ok: true, value: rules } : { ok: false, faults };
}
