import type { ChannelSpec } from "../core/delivery.ts";
import type { PolicyDocument } from "../core/policy.ts";
import type { Rule, SourceName, Sourced } from "../core/rule.ts";
import { builtinRules } from "./builtin.ts";

/** What a source last said, and which version of itself that was. */
export interface SourceDocument {
  readonly document: PolicyDocument;
  readonly revision: string;
}

/** What is in force: every rule and channel with its provenance, and the settings the sources changed. */
export interface Policy {
  readonly rules: readonly Sourced<Rule>[];
  readonly channels: readonly Sourced<ChannelSpec>[];
  readonly metrics: PolicyDocument["metrics"];
  readonly alerts: PolicyDocument["alerts"];
}

/** The documents of all sources, merged by name; what comes first in `precedence` wins. */
export interface Book {
  /** Replaces a source's document; null: the source is gone. */
  set(source: SourceName, document: SourceDocument | null): void;
  sources(): ReadonlyMap<SourceName, SourceDocument>;
  readonly policy: Policy;
}

function mergeByName<T extends { readonly name: string }>(
  ordered: readonly (readonly [SourceName, SourceDocument])[],
  listOf: (document: PolicyDocument) => readonly T[],
): Sourced<T>[] {
  const found = new Map<string, Sourced<T>>();
  for (const [source, { document, revision }] of ordered)
    for (const value of listOf(document))
      if (!found.has(value.name)) found.set(value.name, { value, source, revision });
  return [...found.values()];
}

/** Later ones in precedence only fill in what earlier ones left open. */
function mergeSettings<T extends object>(opinions: readonly T[]): T | undefined {
  return opinions.reduceRight<T | undefined>((low, high) => ({ ...low, ...high }), undefined);
}

/** Built-in rules whose index no source has a rule for. */
function standingBuiltins(rules: readonly Sourced<Rule>[]): Sourced<Rule>[] {
  const taken = new Set(rules.map(({ value }) => value.index));
  return builtinRules
    .filter(({ index }) => !taken.has(index))
    .map((value) => ({ value, source: "default" as const, revision: "built-in" }));
}

/** Pure: the policy that follows from some documents. */
export function mergePolicy(
  documents: ReadonlyMap<SourceName, SourceDocument>,
  precedence: readonly SourceName[],
): Policy {
  const ordered = precedence.flatMap((source) => {
    const document = documents.get(source);
    return document === undefined ? [] : [[source, document] as const];
  });
  const rules = mergeByName(ordered, (document) => document.rules);
  const alerts = mergeSettings(ordered.map(([, { document }]) => document.alerts)) ?? {};
  return {
    rules: alerts.defaultRules === false ? rules : [...rules, ...standingBuiltins(rules)],
    channels: mergeByName(ordered, (document) => document.channels),
    metrics: mergeSettings(ordered.map(([, { document }]) => document.metrics)) ?? {},
    alerts,
  };
}

/**
 * A book over some precedence (sources not named in it have no say). `onChange` is called after every change with what
 * is then in force.
 */
export function createBook(
  precedence: readonly SourceName[],
  onChange: (policy: Policy) => void,
): Book {
  const documents = new Map<SourceName, SourceDocument>();
  let policy = mergePolicy(documents, precedence);
  return {
    set: (source, document) => {
      if (document === null) documents.delete(source);
      else documents.set(source, document);
      policy = mergePolicy(documents, precedence);
      onChange(policy);
    },
    sources: () => documents,
    get policy() {
      return policy;
    },
  };
}
