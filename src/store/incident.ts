import * as v from "valibot";
import { texts } from "../base/parse.ts";
import { levels, operators } from "../core/rule.ts";

const nullableNumber = v.nullable(v.number());
const nullableText = v.nullable(v.string());

/** An incident as JSON that any agent, of this version or another, may have written; what is not known is kept. */
export const incidentSchema = v.looseObject({
  id: v.string(),
  subject: v.looseObject({
    key: v.string(),
    rule: v.string(),
    index: v.string(),
    unit: v.string(),
    labels: texts,
    operator: v.nullable(v.picklist(operators)),
    message: nullableText,
    runbookUrl: nullableText,
    channels: v.nullable(v.array(v.string())),
    cooldownMs: nullableNumber,
    node: v.object({ cluster: v.string(), name: v.string(), ip: v.string() }),
  }),
  status: v.picklist(["firing", "resolved"]),
  level: v.picklist(levels),
  threshold: nullableNumber,
  value: nullableNumber,
  peak: nullableNumber,
  startedAtMs: v.number(),
  updatedAtMs: v.number(),
  endedAtMs: nullableNumber,
  flaps: v.number(),
  flapping: v.boolean(),
  acknowledgedBy: nullableText,
  noData: v.boolean(),
});
