import { nodeId } from "../../core/node.ts";
import type { Aggregate, SeriesKey } from "../../core/series.ts";
import { findNode } from "../nodes.ts";
import type { AgentView, SeriesResult } from "../ports.ts";
import type { Reply } from "../reply.ts";
import type { Call, Route, RouteDeps } from "../route.ts";
import { noQuery } from "../query.ts";
import { askOfBody, askOfQuery, type SeriesAsk } from "../series/ask.ts";
import { bucketed } from "../series/buckets.ts";
import { namedSeries, planRead, readPieces, type SeriesPlan } from "../series/read.ts";
import { tieredBuckets } from "../series/tiered.ts";
import { csvParts, jsonParts } from "../series/text.ts";

/** The longest `metrics.retention_days` there is: how far back another node may have kept its series. */
const longestRetentionDays = 90;
/** The same of `metrics.tier_retention_days`. */
const longestTierDays = 400;

/** Begins to write, so that what fails at once still has a status; a short answer is one text with a length. */
async function replyOf(type: string, parts: AsyncGenerator<string>): Promise<Reply> {
  let begun = "";
  for (let read = 0; read < 3; read++) {
    const next = await parts.next();
    if (next.done === true) return { status: 200, type, headers: { Vary: "Accept" }, body: begun };
    begun += next.value;
  }
  async function* whole(): AsyncGenerator<string> {
    yield begun;
    yield* parts;
  }
  return { status: 200, type, headers: { Vary: "Accept" }, body: whole() };
}

/** What a plan asks for: samples, buckets of samples, or buckets of aggregates. */
function resultsOf(
  view: AgentView,
  plan: SeriesPlan,
  keys: readonly SeriesKey[],
  aggregate: Aggregate,
): AsyncIterable<SeriesResult> {
  const { stepMs, tiered } = plan;
  if (stepMs === null) return readPieces(view, plan, keys);
  if (tiered) return tieredBuckets(view, { ...plan, stepMs }, keys, aggregate);
  return bucketed(readPieces(view, plan, keys), keys, stepMs, aggregate);
}

async function answer({ view, clock }: RouteDeps, call: Call, ask: SeriesAsk): Promise<Reply> {
  const node = await findNode(view, ask.node);
  const isOwn = node === nodeId(view.node);
  const plan = planRead(ask, node, {
    nowMs: clock.now(),
    keptDays: isOwn ? view.retentionDays() : longestRetentionDays,
    tierDays: isOwn ? view.tierRetentionDays() : longestTierDays,
    intervalMs: view.collectionIntervalMs(),
  });
  const keys = await namedSeries(view, plan);
  const results = resultsOf(view, plan, keys, ask.aggregate);
  return call.accepts(["application/json", "text/csv"]) === "text/csv"
    ? replyOf("text/csv; charset=utf-8; header=present", csvParts(results, keys))
    : replyOf("application/json; charset=utf-8", jsonParts(results, keys));
}

/** The stored series of any node: as POST, the form the first version had, and as GET for people and scripts. */
export function metricsRoutes(deps: RouteDeps): Route[] {
  const context = () => ({ nowMs: deps.clock.now(), indexes: deps.view.indexes() });
  const path = "/api/metrics";
  return [
    {
      method: "POST",
      path,
      access: "read",
      body: "optional",
      handle: (call) => {
        noQuery(call.query);
        return answer(deps, call, askOfBody(call.body, context()));
      },
    },
    {
      method: "GET",
      path,
      access: "read",
      body: "none",
      handle: (call) => answer(deps, call, askOfQuery(call.query, context())),
    },
  ];
}
