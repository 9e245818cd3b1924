import { listQuery, listReply } from "../list.ts";
import { readQuery } from "../query.ts";
import { get, type Route, type RouteDeps } from "../route.ts";

/** What can be asked for at /api/metrics. */
export function indexesRoutes({ view }: RouteDeps): Route[] {
  return [
    get("/api/indexes", ({ query }) =>
      listReply("indexes", view.indexes(), readQuery(listQuery, query), {
        key: ({ name }) => name,
        show: ({ name, unit, labels, help }) => ({ name, unit, labels, help }),
      }),
    ),
  ];
}
