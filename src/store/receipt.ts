import * as v from "valibot";
import { messageKinds } from "../core/alert.ts";
import { type Receipt, receiptOutcomes } from "../core/delivery.ts";

/** Some 400 bytes each: what a channel may take of a store is 400 kB. */
export const receiptsPerChannel = 1_000;

const nullableText = v.nullable(v.string());

/** A receipt as JSON that anybody may have written. */
export const receiptSchema: v.GenericSchema<unknown, Receipt> = v.object({
  id: v.string(),
  alert: v.string(),
  channel: v.string(),
  type: v.string(),
  kind: v.picklist(messageKinds),
  outcome: v.picklist(receiptOutcomes),
  attempts: v.number(),
  code: nullableText,
  message: nullableText,
  digest: nullableText,
  createdAtMs: v.number(),
  settledAtMs: v.nullable(v.number()),
});

/** What a receipt as JSON has in it, and nowhere within a text, while its message is on its way. */
export const unsettledMark = '"settledAtMs":null';

/** Whether a receipt as JSON is of a message on its way. */
export function isUnsettled(json: string): boolean {
  return json.includes(unsettledMark);
}
