import { nodeId } from "../../core/node.ts";
import { listQuery, listReply } from "../list.ts";
import { readQuery } from "../query.ts";
import { unixSeconds } from "../reply.ts";
import { get, type Route, type RouteDeps } from "../route.ts";

/** A node that missed this many reports is stale … */
const missedReports = 3;
/** … but not before two heartbeats of three minutes were missed. */
const leastStaleMs = 420_000;

/** The nodes the shared store knows. */
export function nodesRoutes({ view, clock }: RouteDeps): Route[] {
  return [
    get("/api/nodes", async ({ query }) => {
      const page = readQuery(listQuery, query);
      const staleMs = Math.max(leastStaleMs, missedReports * view.collectionIntervalMs());
      const now = clock.now();
      return listReply("nodes", await view.nodes(), page, {
        key: nodeId,
        show: ({ cluster, name, ip, version, lastSeenMs }) => ({
          cluster,
          name,
          ip,
          version,
          last_seen: unixSeconds(lastSeenMs),
          stale: now - lastSeenMs > staleMs,
        }),
      });
    }),
  ];
}
