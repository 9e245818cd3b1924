import { showNodeMatch, type NodeMatch } from "./node-match.ts";
import type { Labels } from "./series.ts";

/** Low to high. */
export const levels = ["info", "warning", "critical"] as const;
export type Level = (typeof levels)[number];

export const operators = [">", ">=", "<", "<="] as const;
export type Operator = (typeof operators)[number];

/** A rule as the engine judges it: every default filled in, durations in milliseconds. */
export interface Rule {
  readonly name: string;
  readonly index: string;
  readonly operator: Operator;
  /** Thresholds by level, at least one; a higher level is never easier to reach than a lower one. */
  readonly thresholds: Readonly<Partial<Record<Level, number>>>;
  /** How long every sample must breach before it fires. */
  readonly forMs: number;
  /** The value at which the lowest level recovers; null: as soon as it stops breaching. */
  readonly clear: number | null;
  /** How long it must stay recovered. */
  readonly keepFiringForMs: number;
  /** Overrides `alerts.cooldown_minutes`. */
  readonly cooldownMs: number | null;
  /** Patterns (`*` matches anything) on the labels of a series. */
  readonly labels: Labels;
  /** Names of the channels that are told; null: all. */
  readonly channels: readonly string[] | null;
  /** The nodes it is for; null: every node. */
  readonly nodes: NodeMatch | null;
  readonly message: string | null;
  readonly runbookUrl: string | null;
  readonly enabled: boolean;
}

/** Where a rule, a channel or a setting came from. */
export type SourceName = "admin" | "configmap" | "file" | "default";

/** A rule or channel with its provenance. */
export interface Sourced<T> {
  readonly value: T;
  readonly source: SourceName;
  /** What the source calls this version of itself: an ETag, a hash of the file. */
  readonly revision: string;
}

/** Whether a value is on the breaching side of a threshold. */
export function breaches(operator: Operator, value: number, threshold: number): boolean {
  switch (operator) {
    case ">":
      return value > threshold;
    case ">=":
      return value >= threshold;
    case "<":
      return value < threshold;
    case "<=":
      return value <= threshold;
  }
}

/** The levels of a map that are there, without those that are undefined. */
export function byLevel<T>(found: {
  readonly [L in Level]?: T | undefined;
}): Partial<Record<Level, T>> {
  const kept: Partial<Record<Level, T>> = {};
  for (const level of levels) {
    const value = found[level];
    if (value !== undefined) kept[level] = value;
  }
  return kept;
}

/** The order of a level, 0 for info; -1 for none. */
export function rank(level: Level | null): number {
  return level === null ? -1 : levels.indexOf(level);
}

/** Whether a text fits a pattern in which `*` stands for any run of characters; in time linear for each `*`. */
export function globMatches(pattern: string, text: string): boolean {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return pattern === text;
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (const part of rest) {
    const found = text.indexOf(part, at);
    if (found < 0 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

const minuteMs = 60_000;

/** A rule in the words of the config file, so that it can be copied into one; durations in seconds. */
export function showRule(rule: Rule): Readonly<Record<string, unknown>> {
  return {
    name: rule.name,
    index: rule.index,
    operator: rule.operator,
    levels: rule.thresholds,
    for: rule.forMs / 1_000,
    clear: rule.clear,
    keep_firing_for: rule.keepFiringForMs / 1_000,
    cooldown_minutes: rule.cooldownMs === null ? null : rule.cooldownMs / minuteMs,
    labels: rule.labels,
    channels: rule.channels,
    nodes: showNodeMatch(rule.nodes),
    message: rule.message,
    runbook_url: rule.runbookUrl,
    enabled: rule.enabled,
  };
}
