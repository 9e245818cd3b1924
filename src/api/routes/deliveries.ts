import * as v from "valibot";
import { oneOf, text } from "../../base/parse.ts";
import { receiptOutcomes } from "../../core/delivery.ts";
import { listQuery, listReply, newestFirst } from "../list.ts";
import { readQuery } from "../query.ts";
import { get, type Route, type RouteDeps } from "../route.ts";
import { showReceipt } from "../show.ts";

/** As many receipts as are looked at for one list; each channel keeps fewer. */
const maxReceipts = 10_000;

/** One receipt per alert and channel, newest first. */
export function deliveriesRoutes({ view, redactor }: RouteDeps): Route[] {
  return [
    get("/api/deliveries", async ({ query }) => {
      const { channel, alert, outcome, ...page } = readQuery(
        {
          channel: v.optional(text),
          alert: v.optional(text),
          outcome: v.optional(oneOf(receiptOutcomes)),
          ...listQuery,
        },
        query,
      );
      const receipts = await view.receipts({
        ...(channel === undefined ? {} : { channel }),
        ...(alert === undefined ? {} : { alert }),
        limit: maxReceipts,
      });
      const wanted = receipts.filter((receipt) => (outcome ?? receipt.outcome) === receipt.outcome);
      return listReply("deliveries", wanted, page, {
        key: ({ createdAtMs, id }) => newestFirst(createdAtMs, id),
        show: (receipt) => showReceipt(receipt, redactor),
      });
    }),
  ];
}
