import * as v from "valibot";
import { messageKinds } from "../core/alert.ts";
import { receiptOutcomes } from "../core/delivery.ts";
import type { HistoryEntry } from "../core/history.ts";
import { levels } from "../core/rule.ts";
import { incidentSchema } from "./incident.ts";

/** Some 1.6 kB each in Redis: what a day may take of it is 16 MB. Of more, the first are kept. */
export const entriesPerDay = 10_000;

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
        code: v.nullable(v.string()),
        atMs: v.number(),
      }),
    ),
  ),
});
