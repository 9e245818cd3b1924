import * as v from "valibot";
import { messageKinds } from "../core/alert.ts";
import { receiptOutcomes } from "../core/delivery.ts";
import type { HistoryEntry } from "../core/history.ts";
import { levels, operators } from "../core/rule.ts";

/** Some 1.6 kB each in Redis: what a day may take of it is 16 MB. Of more, the first are kept. */
export const entriesPerDay = 10_000;

const nullableNumber = v.nullable(v.number());
const nullableText = v.nullable(v.string());

/** An incident as JSON that any agent may have written. */
const incidentSchema = v.looseObject({
  id: v.string(),
  subject: v.looseObject({
    key: v.string(),
    rule: v.string(),
    index: v.string(),
    unit: v.string(),
    labels: v.record(v.string(), v.string()),
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

/** An entry as JSON. */
export const historySchema: v.GenericSchema<unknown, HistoryEntry> = v.object({
  incident: incidentSchema,
  levels: v.array(v.object({ level: v.picklist(levels), atMs: v.number() })),
  told: v.array(v.object({ id: v.string(), kind: v.picklist(messageKinds), atMs: v.number() })),
  deliveries: v.nullable(
    v.array(
      v.object({
        kind: v.picklist(messageKinds),
        channel: v.string(),
        outcome: v.picklist(receiptOutcomes),
        code: nullableText,
        atMs: v.number(),
      }),
    ),
  ),
});
