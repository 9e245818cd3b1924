import { strictObject } from "../../base/parse.ts";
import { AgentError } from "../../core/errors.ts";
import { listQuery, listReply } from "../list.ts";
import type { ChannelState } from "../ports.ts";
import { noQuery, readQuery } from "../query.ts";
import { jsonReply, unixSeconds } from "../reply.ts";
import { checked, get, type Route, type RouteDeps } from "../route.ts";

/** The channels of this node, and a real message through the real way. */
export function channelsRoutes({ view, redactor }: RouteDeps): Route[] {
  const show = ({ spec, status, tokensLeft, sentToday, pending }: ChannelState) => ({
    name: spec.value.name,
    type: spec.value.type,
    enabled: spec.value.enabled,
    levels: spec.value.levels,
    language: spec.value.language,
    settings: spec.value.shown,
    source: spec.source,
    revision: spec.revision,
    status: status.status,
    since: unixSeconds(status.sinceMs),
    last_error: status.lastError === null ? null : redactor.redact(status.lastError),
    tokens_left: tokensLeft,
    sent_today: sentToday,
    pending,
  });
  const test: Route["handle"] = async (call) => {
    noQuery(call.query);
    checked(strictObject({}), call.body);
    const outcome = await view.testChannel(call.params.name ?? "");
    if (outcome === null) throw new AgentError("NOT_FOUND", "no channel of that name is known");
    const reason = outcome.outcome === "sent" ? null : redactor.redact(outcome.reason);
    return jsonReply({ outcome: outcome.outcome, code: outcome.code, reason });
  };
  return [
    get("/api/channels", async ({ query }) => {
      const page = readQuery(listQuery, query);
      return listReply("channels", await view.channels(), page, {
        key: ({ spec }) => spec.value.name,
        show,
      });
    }),
    {
      method: "POST",
      path: "/api/channels/:name/test",
      access: "write",
      body: "optional",
      handle: test,
    },
  ];
}
