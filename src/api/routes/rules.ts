import { showRule } from "../../core/rule.ts";
import { listQuery, listReply } from "../list.ts";
import { readQuery } from "../query.ts";
import { get, type Route, type RouteDeps } from "../route.ts";

/** The rules in force on this node and where each came from. */
export function rulesRoutes({ view }: RouteDeps): Route[] {
  return [
    get("/api/rules", ({ query }) =>
      listReply("rules", view.rules(), readQuery(listQuery, query), {
        key: ({ value }) => value.name,
        show: ({ value, source, revision }) => ({ ...showRule(value), source, revision }),
      }),
    ),
  ];
}
