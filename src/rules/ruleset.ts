import type { NodeIdentity } from "../core/node.ts";
import { globMatches, type Rule } from "../core/rule.ts";
import { parseSelector, type Labels, type SeriesKey } from "../core/series.ts";

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

function onNode(rule: Rule, node: NodeIdentity): boolean {
  if (rule.nodes === null) return true;
  const names = [node.name, `${node.cluster}/${node.name}`];
  return rule.nodes.some((pattern) => names.some((name) => globMatches(pattern, name)));
}

/** The enabled rules of this node, found by the series they judge. */
export class RuleSet {
  readonly #byIndex: Map<string, readonly Rule[]>;
  readonly #bySeries = new Map<SeriesKey, readonly Rule[]>();

  constructor(rules: readonly Rule[], node: NodeIdentity) {
    const standing = rules.filter((rule) => rule.enabled && onNode(rule, node));
    this.#byIndex = Map.groupBy(standing, ({ index }) => index);
  }

  /** Every rule that judges a series; looked up once a series, not once a tick. */
  rulesFor(series: SeriesKey): readonly Rule[] {
    const known = this.#bySeries.get(series);
    if (known !== undefined) return known;
    const { index, labels } = parseSelector(series);
    const plain = labels === "*" ? {} : labels;
    const found = (this.#byIndex.get(index) ?? []).filter((rule) => appliesTo(rule, plain));
    this.#bySeries.set(series, found);
    return found;
  }

  /** The rule of some name, if it judges a series. */
  rule(name: string, series: SeriesKey): Rule | undefined {
    return this.rulesFor(series).find((rule) => rule.name === name);
  }
}
