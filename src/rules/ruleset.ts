import type { NodeFacts, NodeIdentity } from "../core/node.ts";
import { globMatches, type Rule } from "../core/rule.ts";
import { parseSelector, type Labels, type SeriesKey } from "../core/series.ts";
import { matchesNode } from "./match.ts";

/** The identity of an alert on a node: its rule and its series. */
export function alertKey(rule: string, series: SeriesKey): string {
  return `${rule}|${series}`;
}

/** The series an alert's key ends in; a rule's name may hold any character, a series' index cannot hold `|`. */
export function seriesOf(key: string): SeriesKey {
  const brace = key.indexOf("{");
  return key.slice(key.lastIndexOf("|", brace < 0 ? key.length : brace) + 1);
}

function appliesTo(rule: Rule, labels: Labels): boolean {
  return Object.entries(rule.labels).every(([name, pattern]) =>
    globMatches(pattern, labels[name] ?? ""),
  );
}

function judges(rule: Rule, series: SeriesKey): boolean {
  const { index, labels } = parseSelector(series);
  return rule.index === index && appliesTo(rule, labels === "*" ? {} : labels);
}

/** The enabled rules of this node, found by the series they judge. */
export class RuleSet {
  readonly #byIndex: Map<string, readonly Rule[]>;
  readonly #bySeries = new Map<SeriesKey, readonly Rule[]>();
  /** Rules of which nobody can say yet whether they are for this node. */
  readonly #undecided: readonly Rule[];

  constructor(rules: readonly Rule[], node: NodeIdentity, facts: NodeFacts | null) {
    const enabled = rules.filter((rule) => rule.enabled);
    const verdicts = Map.groupBy(enabled, ({ nodes }) => matchesNode(nodes, node, facts));
    this.#byIndex = Map.groupBy(verdicts.get("yes") ?? [], ({ index }) => index);
    this.#undecided = verdicts.get("unknown") ?? [];
  }

  /** Every rule that judges a series; looked up once a series, not once a tick. */
  rulesFor(series: SeriesKey): readonly Rule[] {
    const known = this.#bySeries.get(series);
    if (known !== undefined) return known;
    const { index } = parseSelector(series);
    const found = (this.#byIndex.get(index) ?? []).filter((rule) => judges(rule, series));
    this.#bySeries.set(series, found);
    return found;
  }

  /** The rule of some name, if it judges a series. */
  rule(name: string, series: SeriesKey): Rule | undefined {
    return this.rulesFor(series).find((rule) => rule.name === name);
  }

  /** Whether an alert belongs to a rule of which nobody can say yet whether it is for this node. */
  awaits(key: string): boolean {
    const series = seriesOf(key);
    return this.#undecided.some(
      (rule) => alertKey(rule.name, series) === key && judges(rule, series),
    );
  }
}
