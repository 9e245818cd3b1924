import type { Labels } from "./series.ts";

export const labelOperators = ["In", "NotIn", "Exists", "DoesNotExist"] as const;
export type LabelOperator = (typeof labelOperators)[number];

export const taintEffects = ["NoSchedule", "PreferNoSchedule", "NoExecute"] as const;
export type TaintEffect = (typeof taintEffects)[number];

/** A condition on one label of a node, with the meaning it has in a Kubernetes selector. */
export interface LabelExpression {
  readonly key: string;
  readonly operator: LabelOperator;
  /** Of `In` and `NotIn`; empty with the others. */
  readonly values: readonly string[];
}

/** Which taints are meant: those of a key, and of a value or an effect when one is given. */
export interface TaintMatch {
  readonly key: string;
  readonly value: string | null;
  readonly effect: TaintEffect | null;
}

/** Which nodes a rule is for; every part must hold, and an empty part holds everywhere. */
export interface NodeMatch {
  /** Patterns on the name or on `cluster/name`, one of which fits; null: any name. */
  readonly names: readonly string[] | null;
  /** Patterns on the values of labels; a label that is not there fits none. */
  readonly labels: Labels;
  readonly expressions: readonly LabelExpression[];
  /** Taints the node has. */
  readonly taints: readonly TaintMatch[];
  /** Taints the node does not have. */
  readonly withoutTaints: readonly TaintMatch[];
}

/** Whether a match depends on more than the node's name. */
export function needsFacts({ labels, expressions, taints, withoutTaints }: NodeMatch): boolean {
  return Object.keys(labels).length + expressions.length + taints.length + withoutTaints.length > 0;
}

function showTaint({ key, value, effect }: TaintMatch): Readonly<Record<string, string>> {
  return {
    key,
    ...(value === null ? {} : { value }),
    ...(effect === null ? {} : { effect }),
  };
}

function showExpression({ key, operator, values }: LabelExpression): object {
  return values.length === 0 ? { key, operator } : { key, operator, values };
}

/** A match in the words of the config file: a list when it is about names only, null for every node. */
export function showNodeMatch(match: NodeMatch | null): unknown {
  if (match === null || !needsFacts(match)) return match?.names ?? null;
  const { names, labels, expressions, taints, withoutTaints } = match;
  return {
    ...(names === null ? {} : { names }),
    ...(Object.keys(labels).length === 0 ? {} : { matchLabels: labels }),
    ...(expressions.length === 0 ? {} : { matchExpressions: expressions.map(showExpression) }),
    ...(taints.length === 0 ? {} : { matchTaints: taints.map(showTaint) }),
    ...(withoutTaints.length === 0 ? {} : { excludeTaints: withoutTaints.map(showTaint) }),
  };
}
