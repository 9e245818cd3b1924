import type { Redactor } from "../base/secret.ts";
import type { Incident } from "../core/alert.ts";
import type { Mute } from "../core/mute.ts";
import type { Receipt } from "../core/delivery.ts";
import type { DeliverySummary, HistoryEntry } from "../core/history.ts";
import { showMatchers, silenceState, type Silence } from "../core/silence.ts";
import { unixSeconds, unixSecondsOrNull } from "./reply.ts";

/** An incident as the API shows it, with what holds messages about it back. */
export function showIncident(incident: Incident, mute: Mute | null): Record<string, unknown> {
  const { subject } = incident;
  return {
    id: incident.id,
    status: incident.status,
    level: incident.level,
    rule: subject.rule,
    index: subject.index,
    labels: subject.labels,
    unit: subject.unit,
    operator: subject.operator,
    threshold: incident.threshold,
    current_value: incident.value,
    peak: incident.peak,
    message: subject.message,
    runbook_url: subject.runbookUrl,
    channels: subject.channels,
    node: subject.node.name,
    cluster: subject.node.cluster,
    ip: subject.node.ip,
    started_at: unixSeconds(incident.startedAtMs),
    updated_at: unixSeconds(incident.updatedAtMs),
    ended_at: unixSecondsOrNull(incident.endedAtMs),
    flaps: incident.flaps,
    flapping: incident.flapping,
    acknowledged_by: incident.acknowledgedBy,
    silenced_by: mute,
    no_data: incident.noData,
  };
}

/** A silence as the API shows it, with how it stands now. */
export function showSilence(silence: Silence, nowMs: number): Record<string, unknown> {
  return {
    id: silence.id,
    state: silenceState(silence, nowMs),
    matchers: showMatchers(silence.matchers),
    starts_at: unixSeconds(silence.startsAtMs),
    ends_at: unixSeconds(silence.endsAtMs),
    created_at: unixSeconds(silence.createdAtMs),
    author: silence.author,
    comment: silence.comment,
  };
}

/** A receipt as the API shows it; the service's words were redacted once, and are again. */
export function showReceipt(receipt: Receipt, redactor: Redactor): Record<string, unknown> {
  const { createdAtMs, settledAtMs } = receipt;
  return {
    id: receipt.id,
    alert: receipt.alert,
    channel: receipt.channel,
    type: receipt.type,
    kind: receipt.kind,
    outcome: receipt.outcome,
    attempts: receipt.attempts,
    code: receipt.code,
    message: receipt.message === null ? null : redactor.redact(receipt.message),
    digest: receipt.digest,
    created_at: unixSeconds(createdAtMs),
    settled_at: unixSecondsOrNull(settledAtMs),
    latency_seconds: settledAtMs === null ? null : (settledAtMs - createdAtMs) / 1_000,
  };
}

/** What became of a message, long after its receipt is gone. */
function showSummary(summary: DeliverySummary, redactor: Redactor): Record<string, unknown> {
  const { kind, channel, outcome, code, atMs } = summary;
  const said = code === null ? null : redactor.redact(code);
  return { kind, channel, outcome, code: said, at: unixSeconds(atMs) };
}

/** An incident as it is remembered; `deliveries` is null until they are summed up. */
export function showHistory(entry: HistoryEntry, redactor: Redactor): Record<string, unknown> {
  return {
    ...showIncident(entry.incident, null),
    levels: entry.levels.map(({ level, atMs }) => ({ level, at: unixSeconds(atMs) })),
    told: entry.told.map(({ id, kind, atMs }) => ({ id, kind, at: unixSeconds(atMs) })),
    deliveries: entry.deliveries?.map((one) => showSummary(one, redactor)) ?? null,
  };
}
