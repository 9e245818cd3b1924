import type { Rule, Sourced } from "../../core/rule.ts";
import { listQuery, listReply } from "../list.ts";
import { readQuery } from "../query.ts";
import { get, type Route, type RouteDeps } from "../route.ts";

/** A rule in the words of the configuration, so that it can be copied into one; durations in seconds. */
function showRule({ value: rule, source, revision }: Sourced<Rule>): Record<string, unknown> {
  return {
    name: rule.name,
    index: rule.index,
    operator: rule.operator,
    levels: rule.thresholds,
    for: rule.forMs / 1_000,
    clear: rule.clear,
    keep_firing_for: rule.keepFiringForMs / 1_000,
    cooldown_minutes: rule.cooldownMs === null ? null : rule.cooldownMs / 60_000,
    labels: rule.labels,
    channels: rule.channels,
    nodes: rule.nodes,
    message: rule.message,
    runbook_url: rule.runbookUrl,
    enabled: rule.enabled,
    source,
    revision,
  };
}

/** The rules in force on this node and where each came from. */
export function rulesRoutes({ view }: RouteDeps): Route[] {
  return [
    get("/api/rules", ({ query }) =>
      listReply("rules", view.rules(), readQuery(listQuery, query), {
        key: ({ value }) => value.name,
        show: showRule,
      }),
    ),
  ];
}
