import * as v from "valibot";
import { kindOf, list, oneOf, strictObject, text } from "../base/parse.ts";
import {
  labelOperators,
  needsFacts,
  taintEffects,
  type LabelExpression,
  type NodeMatch,
} from "../core/node-match.ts";

/** The value of a label or a taint: often an empty text. */
const value = v.string((issue) => `expected a text, got ${kindOf(issue.input)}`);
const key = text;
const operator = oneOf(labelOperators);
const labels = v.pipe(
  v.unknown(),
  v.check(
    (input) => !Array.isArray(input),
    'expected an object such as {"pool": "gpu"}, got a list',
  ),
  v.record(
    v.string(),
    value,
    (issue) => `expected an object such as {"pool": "gpu"}, got ${kindOf(issue.input)}`,
  ),
);

/** By what the operator wants of `values`, so that its fault stands beside all others. */
const expressions = {
  listing: strictObject({
    key,
    operator,
    values: v.pipe(
      v.optional(v.unknown(), []),
      v.check(
        (input) => !Array.isArray(input) || input.length > 0,
        "needs at least one value with In and NotIn",
      ),
      list(value),
    ),
  }),
  existing: strictObject({
    key,
    operator,
    values: v.optional(
      v.pipe(list(value), v.maxLength(0, "must be left out with Exists and DoesNotExist")),
      [],
    ),
  }),
  unknown: strictObject({ key, operator, values: v.optional(list(value), []) }),
};

function operatorOf(input: unknown): unknown {
  return typeof input === "object" && input !== null && "operator" in input ? input.operator : null;
}

const expression = v.lazy((input): v.GenericSchema<unknown, LabelExpression> => {
  const said = operatorOf(input);
  if (said === "In" || said === "NotIn") return expressions.listing;
  return said === "Exists" || said === "DoesNotExist" ? expressions.existing : expressions.unknown;
});

const taint = strictObject({
  key,
  value: v.optional(value),
  effect: v.optional(oneOf(taintEffects)),
});
const taints = v.pipe(
  list(taint),
  v.transform((found) =>
    found.map(({ key, value, effect }) => ({ key, value: value ?? null, effect: effect ?? null })),
  ),
);

const names = v.pipe(
  list(text),
  v.transform((found): NodeMatch => ({
    names: found,
    labels: {},
    expressions: [],
    taints: [],
    withoutTaints: [],
  })),
);

const parts = v.pipe(
  strictObject({
    names: v.optional(list(text)),
    matchLabels: v.optional(labels, {}),
    matchExpressions: v.optional(list(expression), []),
    matchTaints: v.optional(taints, []),
    excludeTaints: v.optional(taints, []),
  }),
  v.transform((raw): NodeMatch | null => {
    const match: NodeMatch = {
      names: raw.names ?? null,
      labels: raw.matchLabels,
      expressions: raw.matchExpressions,
      taints: raw.matchTaints,
      withoutTaints: raw.excludeTaints,
    };
    return match.names === null && !needsFacts(match) ? null : match;
  }),
);

/** The nodes of a rule as a source gives them: a list of names, or parts that must all hold; null: every node. */
export const nodes = v.nullable(
  v.lazy((input): v.GenericSchema<unknown, NodeMatch | null> => {
    if (Array.isArray(input)) return names;
    if (typeof input === "object") return parts;
    return v.pipe(
      v.unknown(),
      v.check(() => false, `expected a list of names or an object, got ${kindOf(input)}`),
      v.transform(() => null),
    );
  }),
);
