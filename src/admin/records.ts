import { headerSafe, type HttpClient, type HttpReply } from "../base/http.ts";
import type { MessageKind } from "../core/alert.ts";
import type { AlertMessage, Channel, Outcome, ReceiptOutcome } from "../core/delivery.ts";
import type { NodeIdentity } from "../core/node.ts";
import type { Clock } from "../core/ports.ts";
import type { Level, Operator } from "../core/rule.ts";
import type { Labels } from "../core/series.ts";
import * as request from "./request.ts";

export const recordStatuses = ["firing", "escalated", "resolved"] as const;
export type RecordStatus = (typeof recordStatuses)[number];

/** How one channel fared with an incident. */
export interface RecordDelivery {
  readonly channel: string;
  readonly outcome: ReceiptOutcome;
}

/** What is posted to the admin server about one message; times in Unix seconds. */
export interface AlertRecord {
  readonly index: string;
  /** Null, as value and peak: an alert of somebody else's that names none. */
  readonly threshold: number | null;
  readonly current_value: number | null;
  readonly timestamp: number;
  /** Unique per record. */
  readonly id: string;
  /** The incident: the same in all records from firing to recovery. */
  readonly alert_id: string;
  readonly status: RecordStatus;
  readonly operator: Operator | null;
  readonly level: Level;
  readonly rule: string;
  readonly labels: Labels;
  readonly node: string;
  readonly cluster: string;
  readonly ip: string;
  readonly started_at: number;
  readonly ended_at: number | null;
  readonly peak: number | null;
  readonly message: string;
  /** Null when the receipts could not be read. */
  readonly deliveries: readonly RecordDelivery[] | null;
}

export interface RecordsDeps {
  readonly settings: request.AdminSettings;
  readonly node: () => NodeIdentity;
  readonly http: HttpClient;
  readonly clock: Clock;
  /** The message in words. */
  readonly describe: (message: AlertMessage) => string;
  /** How the channels fared with an incident so far. */
  readonly deliveries: (incidentId: string) => Promise<readonly RecordDelivery[]>;
}

/** A repeated or flapping alert is still firing; a test is no alert and has no record. */
const statusOf: Readonly<Record<MessageKind, RecordStatus | null>> = {
  firing: "firing",
  repeated: "firing",
  flapping: "firing",
  escalated: "escalated",
  resolved: "resolved",
  test: null,
};

/** A server that is set up wrongly is asked again once a minute: somebody is mending it, and no record may be lost. */
const mendingMs = 60_000;

function seconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

/** The record of a message. */
export function toRecord(
  { id, atMs, incident }: AlertMessage,
  status: RecordStatus,
  message: string,
  deliveries: readonly RecordDelivery[] | null,
): AlertRecord {
  const { subject } = incident;
  return {
    index: subject.index,
    threshold: incident.threshold,
    current_value: incident.value,
    timestamp: seconds(atMs),
    id,
    alert_id: incident.id,
    status,
    operator: subject.operator,
    level: incident.level,
    rule: subject.rule,
    labels: subject.labels,
    node: subject.node.name,
    cluster: subject.node.cluster,
    ip: subject.node.ip,
    started_at: seconds(incident.startedAtMs),
    ended_at: incident.endedAtMs === null ? null : seconds(incident.endedAtMs),
    peak: incident.peak,
    message,
    deliveries: deliveries?.map(({ channel, outcome }) => ({ channel, outcome })) ?? null,
  };
}

interface Verdict {
  readonly outcome: Outcome["outcome"];
  readonly retryAfterMs?: number;
}

/** What a status, of HTTP or inside an answer, means for a record. */
function judge(status: number): Verdict {
  if ((status >= 200 && status < 300) || status === 409) return { outcome: "sent" };
  if ([408, 425, 429].includes(status) || status >= 500) return { outcome: "retry" };
  if (status < 400 || [401, 403, 404].includes(status))
    return { outcome: "retry", retryAfterMs: mendingMs };
  return { outcome: "refused" };
}

/** What the words of a 2xx mean: a code of the kind HTTP has is judged as such, any other that is not success refuses. */
function judgeAnswer(answer: unknown): Verdict {
  if (!request.isObject(answer)) return { outcome: "sent" };
  const code = request.serverCode(answer);
  const { success } = answer;
  if (success === true || (success !== false && request.isSuccessCode(code)))
    return { outcome: "sent" };
  const status = Number(code);
  return status >= 400 && status < 600 ? judge(status) : { outcome: "refused" };
}

function toOutcome(verdict: Verdict, code: string, reason: string): Outcome {
  if (verdict.outcome === "sent") return { outcome: "sent", code };
  if (verdict.outcome === "refused") return { outcome: "refused", code, reason };
  const { retryAfterMs } = verdict;
  return {
    outcome: "retry",
    code,
    reason,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

function readSuccess({ status, headers, body }: HttpReply): Outcome {
  const code = `http ${status}`;
  if (body.trim() === "") return { outcome: "sent", code };
  const answer = request.parseJson(body);
  if (answer === undefined) {
    const type = JSON.stringify((headers["content-type"] ?? "nothing").slice(0, 60));
    const reason = `${code}, but the answer is not JSON (content type ${type}): a login page, or another server?`;
    return { outcome: "retry", code, reason, retryAfterMs: mendingMs };
  }
  const own = request.serverCode(answer);
  const shown = own === undefined ? code : `code ${own}`;
  const said = request.serverWords(answer) || "no explanation";
  return toOutcome(judgeAnswer(answer), shown, `${shown}: ${said}`);
}

/** What a reply says became of a record. */
function readReply(reply: HttpReply, nowMs: number): Outcome {
  const { status, headers, body } = reply;
  if (status >= 200 && status < 300) return readSuccess(reply);
  const verdict = judge(status);
  const waitMs = Math.max(verdict.retryAfterMs ?? 0, request.retryAfterMs(headers, nowMs) ?? 0);
  const said = request.serverWords(request.parseJson(body)) || "no explanation";
  const patient = waitMs > 0 ? { ...verdict, retryAfterMs: waitMs } : verdict;
  return toOutcome(patient, `http ${status}`, `http ${status}: ${said}`);
}

/** Alert records as a channel: each message becomes one post to the admin server, which may come more than once. */
export function createRecordsChannel(deps: RecordsDeps): Channel {
  const { settings, node, clock, describe, deliveries } = deps;
  const redactor = request.adminRedactor(settings);
  const post = async (record: AlertRecord, signal: AbortSignal): Promise<Outcome> => {
    const url = request.endpointUrl(settings.baseUrl, settings.alertEndpoint);
    const headers = {
      ...request.adminHeaders(node(), settings.token),
      "Content-Type": "application/json",
      "Idempotency-Key": headerSafe(record.id),
    };
    const body = JSON.stringify(record);
    const asked = await request.ask(deps, { method: "POST", url, headers, body }, signal);
    if (asked.ok) return readReply(asked.reply, clock.now());
    return { outcome: "retry", code: asked.code, reason: asked.reason };
  };
  return {
    send: async (message, signal) => {
      const status = statusOf[message.kind];
      if (status === null) return { outcome: "sent", code: "skipped" };
      // A record without its deliveries is worth more than none: null says that they are not known.
      const fared = await deliveries(message.incident.id).catch(() => null);
      const outcome = await post(toRecord(message, status, describe(message), fared), signal);
      const code = redactor.redact(outcome.code);
      if (outcome.outcome === "sent") return { ...outcome, code };
      return { ...outcome, code, reason: redactor.redact(outcome.reason) };
    },
    close: async () => {},
  };
}
