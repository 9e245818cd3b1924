import { joinPath, kindOf, type Parsed } from "../base/parse.ts";
import type { Fault } from "../core/errors.ts";
import { levels } from "../core/rule.ts";
import { isObject } from "./request.ts";

type Json = Readonly<Record<string, unknown>>;

/** A policy in the one shape that is checked, and the way back to where each part of it stood. */
export interface Normalised {
  /** `{metrics, alerts: {…, rules, channels}}`; a member the answer does not have is missing here too. */
  readonly document: Json;
  /** The path in the answer as given of a path in the document. */
  readonly original: (path: string) => string;
}

/** One rule or channel, and how a path inside it is written in the answer. */
interface Entry {
  readonly value: unknown;
  readonly pathOf: (rest: string) => string;
}

/** Members at the top level in which servers give rules. */
const ruleForms = ["thresholds", "alert_rules", "rules"];
/** Members at the top level in which servers give channels. */
const channelForms = ["notifications", "alert_channels", "channels"];
const forms = [...ruleForms, ...channelForms];

/** Every member by which a policy is recognised. */
export const formNames: readonly string[] = ["metrics", "alerts", ...forms];

/** What a bare number in a map of thresholds means: alert above it. */
const mapOperator = ">";

function without(object: Json, names: readonly string[]): Json {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

function isLevel(name: string): boolean {
  return levels.some((level) => level === name);
}

/** Reads `cpu: 80`, `memory: {"warning": 80, "critical": 95}` or `disk: {"threshold": 90, "for": "5m"}` as a rule. */
function mapEntry(index: string, value: unknown, path: string): Entry {
  const defaults = { index, operator: mapOperator };
  if (!isObject(value)) return { value: { ...defaults, threshold: value }, pathOf: () => path };
  const names = Object.keys(value);
  const inner = names.filter(isLevel);
  const rest = without(value, inner);
  const nested = without(
    value,
    names.filter((name) => !isLevel(name)),
  );
  const byLevel = inner.length === 0 ? {} : { levels: nested };
  const pathOf = (step: string): string => {
    const level = /^\.levels\.(\w+)/.exec(step)?.[1];
    if (level !== undefined && inner.includes(level)) return `${path}.${level}`;
    const member = /^\.([^.[]+)/.exec(step)?.[1];
    return member === undefined || member in rest ? path + step : path;
  };
  return { value: { ...defaults, ...byLevel, ...rest }, pathOf };
}

/** The rules or channels under one member, or undefined with a fault when it has neither form. */
function entriesOf(name: string, value: unknown, path: string): Entry[] | undefined {
  if (Array.isArray(value))
    return value.map((item: unknown, i) => ({
      value: item,
      pathOf: (rest) => `${path}[${i}]${rest}`,
    }));
  if (name === "thresholds" && isObject(value))
    return Object.entries(value).map(([index, entry]) =>
      mapEntry(index, entry, joinPath(path, [index])),
    );
  return undefined;
}

interface Gathered {
  /** Null when the answer has no such member. */
  readonly entries: readonly Entry[] | null;
  /** Where the first of them stood. */
  readonly path: string;
  readonly faults: readonly Fault[];
}

/** All rules (or channels) of an answer, whichever members hold them. */
function gather(members: readonly { name: string; value: unknown; path: string }[]): Gathered {
  const present = members.filter(({ value }) => value !== undefined);
  const found = present.map(({ name, value, path }) => ({
    entries: entriesOf(name, value, path),
    fault: {
      path,
      message: `expected a list${name === "thresholds" ? " or an object" : ""}, got ${kindOf(value)}`,
    },
  }));
  return {
    entries: present.length === 0 ? null : found.flatMap(({ entries }) => entries ?? []),
    path: present[0]?.path ?? "",
    faults: found.filter(({ entries }) => entries === undefined).map(({ fault }) => fault),
  };
}

/** Brings every accepted form of a policy into the one that is checked; `base` is where it stands in the answer. */
export function normalise(policy: Json, base: string): Parsed<Normalised> {
  const at = (...steps: string[]): string => joinPath(base, steps);
  const alerts = policy["alerts"] ?? {};
  if (!isObject(alerts) || policy["alerts"] === null) {
    const message = `expected an object, got ${kindOf(policy["alerts"])}`;
    return { ok: false, faults: [{ path: at("alerts"), message }] };
  }
  const members = (inner: string, outer: readonly string[]): Gathered =>
    gather([
      { name: inner, value: alerts[inner], path: at("alerts", inner) },
      ...outer.map((name) => ({ name, value: policy[name], path: at(name) })),
    ]);
  const gathered = {
    rules: members("rules", ruleForms),
    channels: members("channels", channelForms),
  };
  const faults = [...gathered.rules.faults, ...gathered.channels.faults];
  if (faults.length > 0) return { ok: false, faults };

  const lists = Object.fromEntries(
    Object.entries(gathered).flatMap(([name, { entries }]) =>
      entries === null ? [] : [[name, entries.map(({ value }) => value)]],
    ),
  );
  const whole = { ...without(alerts, ["rules", "channels"]), ...lists };
  const document = {
    ...without(policy, ["alerts", ...forms]),
    ...("alerts" in policy || Object.keys(lists).length > 0 ? { alerts: whole } : {}),
  };
  const original = (path: string): string => {
    const [, list, item, rest = ""] =
      /^alerts\.(rules|channels)(?:\[(\d+)\](.*))?$/s.exec(path) ?? [];
    if (list !== "rules" && list !== "channels") return path === "" ? base : at(path);
    const { entries, path: first } = gathered[list];
    return entries?.[Number(item)]?.pathOf(rest) ?? (first === "" ? at(path) : first);
  };
  return { ok: true, value: { document, original } };
}
