import { reportedKey, type AlertSubject } from "./core/alert.ts";
import type { NodeIdentity, NodeInfo } from "./core/node.ts";
import type { Incidents } from "./alerts/incidents.ts";
import type { Report } from "./alerts/telling.ts";
import type { ReportedAlert } from "./api/ports.ts";
import type { Backend } from "./store/contract.ts";

/** What is needed to take alerts. */
export interface ReportDeps {
  readonly node: NodeIdentity;
  readonly nowMs: number;
  readonly backend: Pick<Backend, "nodes">;
  readonly incidents: Incidents;
  readonly unitOf: (index: string) => string;
}

function isMeant(node: NodeIdentity, name: string, cluster: string): boolean {
  return node.cluster === cluster && (node.name === name || (node.ip !== "" && node.ip === name));
}

/** The node an alert is about: ours, one the store knows by its name or address, else just the name. */
function nodeOf(alert: ReportedAlert, own: NodeIdentity, known: readonly NodeInfo[]): NodeIdentity {
  const cluster = alert.cluster ?? own.cluster;
  if (alert.node === null) return { ...own, cluster };
  const name = alert.node;
  if (isMeant(own, name, cluster)) return own;
  const found = known.find((node) => isMeant(node, name, cluster));
  return found === undefined
    ? { cluster, name, ip: "" }
    : { cluster, name: found.name, ip: found.ip };
}

function subjectOf(alert: ReportedAlert, node: NodeIdentity, unit: string): AlertSubject {
  const { rule, index, labels, message, runbookUrl, sourceUrl } = alert;
  return {
    key: reportedKey(alert.fingerprint),
    rule,
    index,
    unit,
    labels,
    operator: null,
    message,
    runbookUrl,
    ...(sourceUrl === null ? {} : { sourceUrl }),
    channels: null,
    cooldownMs: null,
    node,
  };
}

function reportOf(alert: ReportedAlert, subject: AlertSubject, nowMs: number): Report {
  const { level, value, atMs, untilMs } = alert;
  return {
    transition: {
      kind: alert.state === "firing" ? "fired" : "resolved",
      subject,
      level,
      threshold: null,
      value,
      // The cooldown runs by our clock: a sender's may stand still or be wrong.
      atMs: nowMs,
      claimedAtMs: atMs,
      peak: value,
      reason: null,
    },
    untilMs,
  };
}

/** Takes alerts that a Prometheus or an Alertmanager reports; each label set is one alert. */
export async function takeReports(
  alerts: readonly ReportedAlert[],
  { node, nowMs, backend, incidents, unitOf }: ReportDeps,
): Promise<void> {
  const named = alerts.some(({ node }) => node !== null);
  // Without the store the alert is about a name; that it fires is worth more than an address.
  const known = named ? await backend.nodes().catch(() => []) : [];
  await incidents.report(
    alerts.map((alert) =>
      reportOf(alert, subjectOf(alert, nodeOf(alert, node, known), unitOf(alert.index)), nowMs),
    ),
  );
}
