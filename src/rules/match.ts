import type { NodeFacts, NodeIdentity, Taint } from "../core/node.ts";
import {
  needsFacts,
  type LabelExpression,
  type NodeMatch,
  type TaintMatch,
} from "../core/node-match.ts";
import { globMatches } from "../core/rule.ts";

function hasName({ names }: NodeMatch, { cluster, name }: NodeIdentity): boolean {
  if (names === null) return true;
  const own = [name, `${cluster}/${name}`];
  return names.some((pattern) => own.some((text) => globMatches(pattern, text)));
}

/** The value of a label; undefined when the node has none of that name. */
function labelOf({ labels }: NodeFacts, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

/** As in a Kubernetes label selector: a label that is not there is in no list, and so fits `NotIn`. */
function holds({ key, operator, values }: LabelExpression, facts: NodeFacts): boolean {
  const value = labelOf(facts, key);
  switch (operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

function isTainted({ taints }: NodeFacts, { key, value, effect }: TaintMatch): boolean {
  const means = (taint: Taint): boolean =>
    taint.key === key &&
    (value === null || taint.value === value) &&
    (effect === null || taint.effect === effect);
  return taints.some(means);
}

function fits(match: NodeMatch, facts: NodeFacts): boolean {
  return (
    Object.entries(match.labels).every(([key, pattern]) => {
      const value = labelOf(facts, key);
      return value !== undefined && globMatches(pattern, value);
    }) &&
    match.expressions.every((expression) => holds(expression, facts)) &&
    match.taints.every((taint) => isTainted(facts, taint)) &&
    !match.withoutTaints.some((taint) => isTainted(facts, taint))
  );
}

/** Whether a rule is for a node; unknown when that depends on what is not known of it yet. */
export function matchesNode(
  match: NodeMatch | null,
  node: NodeIdentity,
  facts: NodeFacts | null,
): "yes" | "no" | "unknown" {
  if (match === null) return "yes";
  if (!hasName(match, node)) return "no";
  if (!needsFacts(match)) return "yes";
  if (facts === null) return "unknown";
  return fits(match, facts) ? "yes" : "no";
}
