import * as v from "valibot";
import { oneOf, strictObject } from "../../base/parse.ts";
import type { Incident } from "../../core/alert.ts";
import { AgentError } from "../../core/errors.ts";
import { levels } from "../../core/rule.ts";
import { listQuery, listReply, newestFirst } from "../list.ts";
import { noQuery, readQuery } from "../query.ts";
import { jsonReply, type Reply } from "../reply.ts";
import { checked, get, shortText, type Call, type Route, type RouteDeps } from "../route.ts";
import { showIncident, showReceipt } from "../show.ts";

/** Far more messages than one alert can send before its receipts are forgotten. */
const maxDeliveries = 1_000;
/** Who acknowledged, when the client does not say. */
const unnamed = "api";

function unknownAlert(): AgentError {
  return new AgentError("NOT_FOUND", "no alert of that id is known");
}

async function listAlerts({ view }: RouteDeps, call: Call): Promise<Reply> {
  const { status, level, ...page } = readQuery(
    {
      status: v.optional(oneOf(["firing", "resolved"])),
      level: v.optional(oneOf(levels)),
      ...listQuery,
    },
    call.query,
  );
  const wanted = (incident: Incident): boolean =>
    (status === undefined || incident.status === status) &&
    (level === undefined || incident.level === level);
  const muteOf = await view.mutes();
  return listReply("alerts", view.incidents().filter(wanted), page, {
    key: ({ startedAtMs, id }) => newestFirst(startedAtMs, id),
    show: (incident) => showIncident(incident, muteOf(incident)),
  });
}

async function oneAlert({ view, redactor }: RouteDeps, call: Call): Promise<Reply> {
  noQuery(call.query);
  const incident = view.incidents().find(({ id }) => id === call.params.id);
  if (incident === undefined) throw unknownAlert();
  const muteOf = await view.mutes();
  const receipts = await view.receipts({ alert: incident.id, limit: maxDeliveries });
  return jsonReply({
    ...showIncident(incident, muteOf(incident)),
    deliveries: receipts.map((receipt) => showReceipt(receipt, redactor)),
  });
}

async function acknowledge({ view }: RouteDeps, call: Call): Promise<Reply> {
  noQuery(call.query);
  const { by } = checked(strictObject({ by: v.nullish(shortText(100)) }), call.body);
  const id = call.params.id ?? "";
  const who = by ?? unnamed;
  const incident = await view.acknowledge(id, who);
  if (incident === null) {
    if (!(await view.acknowledgeElsewhere(id, who))) throw unknownAlert();
    // Its own node takes it up before it tells people again.
    return jsonReply({ id, status: "accepted", acknowledged_by: who }, 202);
  }
  const muteOf = await view.mutes();
  return jsonReply(showIncident(incident, muteOf(incident)));
}

/** Incidents of this node: those that fire and those that ended. */
export function alertsRoutes(deps: RouteDeps): Route[] {
  return [
    get("/api/alerts", (call) => listAlerts(deps, call)),
    get("/api/alerts/:id", (call) => oneAlert(deps, call)),
    {
      method: "POST",
      path: "/api/alerts/:id/ack",
      access: "write",
      body: "optional",
      handle: (call) => acknowledge(deps, call),
    },
  ];
}
