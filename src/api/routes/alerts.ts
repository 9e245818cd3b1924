import * as v from "valibot";
import { oneOf, strictObject } from "../../base/parse.ts";
import type { Incident } from "../../core/alert.ts";
import { AgentError } from "../../core/errors.ts";
import { levels } from "../../core/rule.ts";
import { listQuery, listReply, newestFirst } from "../list.ts";
import { noQuery, readQuery } from "../query.ts";
import { jsonReply, type Reply } from "../reply.ts";
import { checked, get, shortText, type Call, type Route, type RouteDeps } from "../route.ts";
import { showHistory, showIncident, showReceipt } from "../show.ts";

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

/** An alert of another node's, or one that is long over. */
async function rememberedAlert({ view, redactor }: RouteDeps, id: string): Promise<Reply> {
  const entry = await view.remembered(id);
  if (entry === null) throw unknownAlert();
  const shown = showHistory(entry, redactor);
  const receipts = await view.receipts({ alert: id, limit: maxDeliveries });
  if (receipts.length === 0) return jsonReply({ ...shown, deliveries: shown["deliveries"] ?? [] });
  return jsonReply({
    ...shown,
    deliveries: receipts.map((receipt) => showReceipt(receipt, redactor)),
  });
}

async function oneAlert(deps: RouteDeps, call: Call): Promise<Reply> {
  noQuery(call.query);
  const incident = deps.view.incidents().find(({ id }) => id === call.params.id);
  if (incident === undefined) return rememberedAlert(deps, call.params.id ?? "");
  const { view, redactor } = deps;
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
