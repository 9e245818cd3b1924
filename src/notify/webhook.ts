import { createHash, createHmac } from "node:crypto";
import * as v from "valibot";
import { headerSafe } from "../base/http.ts";
import { secret, strictObject } from "../base/parse.ts";
import type { AlertMessage, Channel, Language, Outcome } from "../core/delivery.ts";
import { formatLabels, type Labels } from "../core/series.ts";
import { isLoopback } from "./address.ts";
import { alertOf, fingerprint, isOver } from "./alert.ts";
import { defineChannel, type ChannelDeps } from "./contract.ts";
import { bearer, createPush, headerSecret } from "./push.ts";
import { reachUrl } from "./reach.ts";
import { webhookUrl } from "./robot.ts";

const type = "webhook";

/** What Alertmanager says of an alert whose end nobody knows: Go's zero time. */
const noEnd = "0001-01-01T00:00:00Z";

/** A body of a megabyte; what is more is counted, as Alertmanager does it with `max_alerts`. */
const maxAlerts = 1_000;

const settings = strictObject({
  url: webhookUrl,
  secret: v.optional(secret),
  token: v.optional(headerSecret),
});
type WebhookSettings = v.InferOutput<typeof settings>;

/** The signature of a body at a time: HMAC-SHA256 of `<seconds>.<body>`, in hexadecimal. */
export function webhookSign(timestamp: string, body: string, key: string): string {
  return createHmac("sha256", key).update(`${timestamp}.${body}`).digest("hex");
}

/** What stays the same from firing to recovery, through every level. */
function groupOf(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => name !== "severity"));
}

/** An alert of the body, with what groups need of it. */
function alertIn(message: AlertMessage, language: Language) {
  const { labels, annotations, generatorUrl } = alertOf(message, language);
  const { startedAtMs, endedAtMs } = message.incident;
  const over = isOver(message);
  return {
    status: over ? "resolved" : "firing",
    labels,
    annotations,
    startsAt: new Date(startedAtMs).toISOString(),
    endsAt: over ? new Date(endedAtMs ?? message.atMs).toISOString() : noEnd,
    generatorURL: generatorUrl ?? "",
    fingerprint: fingerprint(labels),
  };
}

/** What all of them have in common. */
function commonOf(all: readonly Labels[]): Labels {
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((one) => one[name] === value)),
  );
}

/** The messages of one body, the most urgent first. */
export interface WebhookContent {
  readonly messages: readonly AlertMessage[];
  /** The id of the digest they are; null: it is one message, of a group of its own. */
  readonly digest: string | null;
}

/** The body of messages: Alertmanager's, version 4 (`template.Data` and `webhook.Message`). */
export function webhookBody({ messages, digest }: WebhookContent, language: Language): string {
  const told = messages.slice(0, maxAlerts);
  const alerts = told.map((message) => alertIn(message, language));
  const commonLabels = commonOf(alerts.map(({ labels }) => labels));
  const groupLabels = groupOf(commonLabels);
  // What two digests have in common may be the same, and they are no news of the same group.
  const route = digest === null ? "{}" : `{}/{${formatLabels({ digest })}}`;
  return JSON.stringify({
    version: "4",
    groupKey: `${route}:{${formatLabels(groupLabels)}}`,
    truncatedAlerts: messages.length - told.length,
    // As Alertmanager has it: one that fires is enough.
    status: alerts.some(({ status }) => status === "firing") ? "firing" : "resolved",
    receiver: type,
    groupLabels,
    commonLabels,
    commonAnnotations: commonOf(alerts.map(({ annotations }) => annotations)),
    externalURL: messages.map(({ publicUrl }) => publicUrl).find((url) => url !== null) ?? "",
    alerts,
  });
}

function signature(
  { secret: key }: WebhookSettings,
  body: string,
  nowMs: number,
): Readonly<Record<string, string>> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  return {
    "X-Timestamp": timestamp,
    ...(key === undefined
      ? {}
      : { "X-Signature": `sha256=${webhookSign(timestamp, body, key.reveal())}` }),
  };
}

function warnings({ url }: WebhookSettings): string[] {
  const { protocol, hostname } = new URL(url.reveal());
  return protocol === "http:" && !isLoopback(hostname)
    ? ["url: http:// shows the address and the messages to the network; use https://"]
    : [];
}

function createWebhook(of: WebhookSettings, deps: ChannelDeps): Channel {
  const push = createPush(deps);
  const post = (content: WebhookContent, id: string, signal: AbortSignal): Promise<Outcome> => {
    const body = webhookBody(content, deps.language);
    const headers = {
      ...bearer(of.token),
      ...signature(of, body, deps.clock.now()),
      // The same at every try, so that a receiver can tell a second try from a second message.
      "Idempotency-Key": headerSafe(id),
    };
    return push({ url: of.url.reveal(), headers, body, signal });
  };
  return {
    send: (message, signal) => post({ messages: [message], digest: null }, message.id, signal),
    sendDigest: ({ id, items }, signal) =>
      post({ messages: items.map(({ message }) => message), digest: id }, id, signal),
    close: async () => {},
  };
}

/** Any receiver of Alertmanager's webhooks, or one of your own. */
export const webhook = defineChannel<WebhookSettings>({
  type,
  doc: "Any HTTP receiver: the body of Alertmanager's webhook (version 4), signed with HMAC.",
  settings,
  fromFile: ["url", "secret", "token"],
  example: {
    type,
    url: "https://hooks.example.com/targetvpc",
    secret: "a-signing-secret",
    enabled: true,
  },
  // A receiver says 429 when it has enough.
  limits: [],
  maxBytes: null,
  isForMachines: true,
  robot: ({ url }) => createHash("sha256").update(url.reveal()).digest("base64url"),
  warnings,
  reach: ({ url }, signal) => reachUrl(new URL(url.reveal()), signal),
  create: createWebhook,
});
