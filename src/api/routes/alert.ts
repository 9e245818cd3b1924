import * as v from "valibot";
import { finite, oneOf, strictObject } from "../../base/parse.ts";
import { levels, type Operator } from "../../core/rule.ts";
import type { ForeignAlert } from "../ports.ts";
import { noQuery } from "../query.ts";
import { jsonReply } from "../reply.ts";
import { checked, shortText, type Route, type RouteDeps } from "../route.ts";
import { timeSchema } from "../series/ask.ts";

/** The words rules know operators by. */
const operatorWords: Readonly<Record<string, Operator>> = {
  ">": ">",
  ">=": ">=",
  "<": "<",
  "<=": "<=",
  gt: ">",
  gte: ">=",
  lt: "<",
  lte: "<=",
};

/** More labels than this are no labels but data; Prometheus' own default limit is 30. */
const maxLabels = 30;

const labels = v.pipe(
  v.unknown(),
  v.check((input) => !Array.isArray(input), "expected an object of texts, got a list"),
  v.record(
    v.pipe(
      v.string(),
      v.maxLength(100, "a label name must not be longer than 100 characters"),
      v.regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, "a label name has letters, digits and _ only"),
    ),
    v.pipe(
      v.string("expected a text"),
      v.maxLength(1_000, "must not be longer than 1000 characters"),
    ),
    "expected an object of texts",
  ),
  v.maxEntries(maxLabels, `at most ${maxLabels} labels`),
);

function alertSchema(nowMs: number) {
  return strictObject({
    index: shortText(200),
    threshold: finite,
    current_value: finite,
    timestamp: timeSchema(nowMs),
    operator: v.nullish(
      v.pipe(
        oneOf([">", ">=", "<", "<=", "gt", "gte", "lt", "lte"]),
        v.transform((word): Operator => operatorWords[word] ?? ">"),
      ),
    ),
    level: v.nullish(oneOf(levels)),
    message: v.nullish(
      v.pipe(
        v.string("expected a text"),
        v.maxLength(4_000, "must not be longer than 4000 characters"),
      ),
    ),
    labels: v.nullish(labels),
    node: v.nullish(shortText(600)),
  });
}

/** The operator by which the value breaches the threshold: what a sender who names none must have meant. */
function impliedOperator(value: number, threshold: number): Operator {
  if (value < threshold) return "<";
  return value > threshold ? ">" : ">=";
}

/** Takes an alert of somebody else's, which then goes the way of our own. */
export function alertRoutes({ view, clock, redactor }: RouteDeps): Route[] {
  const handle: Route["handle"] = async (call) => {
    noQuery(call.query);
    const given = checked(alertSchema(clock.now()), call.body);
    const alert: ForeignAlert = {
      index: given.index,
      threshold: given.threshold,
      value: given.current_value,
      atMs: given.timestamp,
      operator: given.operator ?? impliedOperator(given.current_value, given.threshold),
      level: given.level ?? "warning",
      message: given.message ?? null,
      labels: given.labels ?? {},
      node: given.node ?? null,
    };
    const outcome = await view.acceptAlert(alert);
    const reason = outcome.status === "suppressed" ? redactor.redact(outcome.reason) : null;
    return jsonReply({ id: outcome.id, status: outcome.status, reason }, 202);
  };
  return [{ method: "POST", path: "/api/alert", access: "write", body: "required", handle }];
}
