import type { AlertSubject, Transition } from "./core/alert.ts";
import { muteText } from "./core/mute.ts";
import { nodeId, type NodeIdentity } from "./core/node.ts";
import { seriesKey } from "./core/series.ts";
import type { Incidents } from "./alerts/incidents.ts";
import type { ForeignAlert, ForeignOutcome } from "./api/ports.ts";
import type { Backend } from "./store/contract.ts";

/** The node an alert of somebody else's is about: one the store knows, else just the name. */
async function namedNode(name: string, own: NodeIdentity, backend: Backend): Promise<NodeIdentity> {
  const slash = name.indexOf("/");
  const wanted =
    slash < 0
      ? { cluster: own.cluster, name }
      : { cluster: name.slice(0, slash), name: name.slice(slash + 1) };
  if (nodeId(wanted) === nodeId(own)) return own;
  const known = await backend.nodes().catch(() => []);
  return { ip: "", ...wanted, ...pickIp(known.find((node) => nodeId(node) === nodeId(wanted))) };
}

function pickIp(node: NodeIdentity | undefined): { ip?: string } {
  return node === undefined ? {} : { ip: node.ip };
}

function subjectOf(alert: ForeignAlert, node: NodeIdentity, unit: string): AlertSubject {
  const series = seriesKey(alert.index, alert.labels);
  return {
    key: `api:${nodeId(node)}:${alert.level}|${series}`,
    rule: `api-${alert.index}`,
    index: alert.index,
    unit,
    labels: alert.labels,
    operator: alert.operator,
    message: alert.message,
    runbookUrl: null,
    channels: null,
    cooldownMs: null,
    node,
  };
}

/** Takes an alert of somebody else's the way of our own: cooldown by node, index, labels and level. */
export async function acceptAlert(
  alert: ForeignAlert,
  deps: {
    readonly node: NodeIdentity;
    readonly nowMs: number;
    readonly backend: Backend;
    readonly incidents: Incidents;
    readonly unitOf: (index: string) => string;
  },
): Promise<ForeignOutcome> {
  const node =
    alert.node === null ? deps.node : await namedNode(alert.node, deps.node, deps.backend);
  const transition: Transition = {
    kind: "fired",
    subject: subjectOf(alert, node, deps.unitOf(alert.index)),
    level: alert.level,
    threshold: alert.threshold,
    value: alert.value,
    // The cooldown runs by our clock: a sender's may stand still or be wrong. Its own time goes into message and record.
    atMs: deps.nowMs,
    peak: alert.value,
    reason: null,
  };
  const { incident, suppressed, mute } = await deps.incidents.accept(transition, alert.atMs);
  if (suppressed === null) return { status: "accepted", id: incident.id };
  return {
    status: "suppressed",
    id: incident.id,
    reason: mute === null ? `${suppressed}: incident ${incident.id} covers it` : muteText(mute),
  };
}
