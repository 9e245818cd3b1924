import * as v from "valibot";
import { deadline } from "../base/every.ts";
import { list, secret, strictObject, text } from "../base/parse.ts";
import { isReported } from "../core/alert.ts";
import type { AlertMessage, Channel, KeepFiring, Outcome } from "../core/delivery.ts";
import { isLoopback } from "./address.ts";
import { AlertBook, type Entry } from "./alert-book.ts";
import { alertOf, type Alert } from "./alert.ts";
import { defineChannel, type ChannelDeps } from "./contract.ts";
import { bearer, createPush, headerSecret } from "./push.ts";
import { reachUrl, type Reached } from "./reach.ts";
import { isHttpUrl } from "./robot.ts";

/** Prometheus says again what fires once a minute: `--rules.alert.resend-delay`. */
const everyMs = 60_000;
/** As long as Alertmanager's own `resolve_timeout`: four rounds in a row may fail before what fires is taken as over. */
const graceMs = 5 * 60_000;
/** One replica that hangs must not take the time in which the others answer, which is 10 s for all. */
const replicaMs = 5_000;
/** A cluster of Alertmanagers has three, seldom five. */
const maxReplicas = 16;

function isBaseUrl(url: string): boolean {
  if (!isHttpUrl(url)) return false;
  const { username, password, search, hash } = new URL(url);
  return `${username}${password}${search}${hash}` === "";
}

const baseUrl = v.pipe(
  text,
  v.check(
    isBaseUrl,
    "expected the address of an Alertmanager such as http://alertmanager:9093, with a path at most; a login belongs in username and password",
  ),
  v.transform((url) => new URL(url).href.replace(/\/+$/, "")),
);

const settings = strictObject({
  urls: v.pipe(
    list(baseUrl),
    v.minLength(1, "expected at least one address"),
    v.maxLength(maxReplicas, `expected at most ${maxReplicas} addresses`),
    v.check((urls) => new Set(urls).size === urls.length, "the same address stands there twice"),
  ),
  token: v.optional(headerSecret),
  username: v.optional(
    v.pipe(text, v.regex(/^[^:]*$/, "expected a name without a colon, which ends it")),
  ),
  password: v.optional(secret),
});
type AlertmanagerSettings = v.InferOutput<typeof settings>;

const checked = v.pipe(
  settings,
  v.forward(
    v.check(
      ({ username, password }) => username === undefined || password !== undefined,
      "is required with a username",
    ),
    ["password"],
  ),
  v.forward(
    v.check(
      ({ username, password }) => password === undefined || username !== undefined,
      "is required with a password",
    ),
    ["username"],
  ),
  v.forward(
    v.check(
      ({ username, token }) => username === undefined || token === undefined,
      "is given beside a username; give one of them",
    ),
    ["token"],
  ),
);

function authorization({ token, username, password }: AlertmanagerSettings): {
  readonly Authorization?: string;
} {
  if (username === undefined || password === undefined) return bearer(token);
  const login = Buffer.from(`${username}:${password.reveal()}`).toString("base64");
  return { Authorization: `Basic ${login}` };
}

/** An alert of Alertmanager's API v2: `postableAlert` of api/v2/openapi.yaml. */
function postable(
  { labels, annotations, generatorUrl }: Alert,
  startedAtMs: number,
  endsAtMs: number,
): object {
  return {
    labels,
    annotations,
    // An end before its beginning is refused; a clock that was set back makes one.
    startsAt: new Date(Math.min(startedAtMs, endsAtMs)).toISOString(),
    endsAt: new Date(endsAtMs).toISOString(),
    ...(generatorUrl === null ? {} : { generatorURL: generatorUrl }),
  };
}

function fromBook(entry: Entry): object {
  const endsAtMs = entry.endedAtMs ?? entry.seenAtMs + graceMs;
  return postable(entry, entry.incident.startedAtMs, endsAtMs);
}

/**
 * What the replies of all replicas mean together: a delivery when one took it, because they tell each other; to be
 * tried again when another try may reach one; else a refusal.
 */
export function readReplicas(
  replies: readonly { readonly url: string; readonly outcome: Outcome }[],
): Outcome {
  const sent = replies.filter(({ outcome }) => outcome.outcome === "sent").length;
  if (sent > 0) return { outcome: "sent", code: `${sent} of ${replies.length}` };
  const failures = replies.flatMap(({ url, outcome }) =>
    outcome.outcome === "sent" ? [] : [{ url, outcome }],
  );
  const reason = failures.map(({ url, outcome }) => `${url}: ${outcome.reason}`).join("; ");
  const retries = failures.flatMap(({ outcome }) => (outcome.outcome === "retry" ? [outcome] : []));
  const [first] = retries;
  const { code = "refused" } = first ?? failures[0]?.outcome ?? {};
  if (first === undefined) return { outcome: "refused", code, reason };
  // Whoever asks for no rest may be tried at once.
  const waitMs = Math.min(...retries.map(({ retryAfterMs = 0 }) => retryAfterMs));
  return { outcome: "retry", code, reason, ...(waitMs > 0 ? { retryAfterMs: waitMs } : {}) };
}

type Post = (alerts: readonly object[], signal: AbortSignal) => Promise<Outcome>;

/** Posts alerts to every replica. */
function createPost(of: AlertmanagerSettings, deps: ChannelDeps): Post {
  const push = createPush(deps);
  const headers = authorization(of);
  return async (alerts, signal) => {
    const body = JSON.stringify(alerts);
    const limit = deadline(deps.clock, replicaMs, signal);
    try {
      return readReplicas(
        await Promise.all(
          of.urls.map(async (url) => {
            const request = { url: `${url}/api/v2/alerts`, headers, body, signal: limit.signal };
            return { url, outcome: await push(request) };
          }),
        ),
      );
    } finally {
      limit.clear();
    }
  };
}

function createAlertmanager(of: AlertmanagerSettings, deps: ChannelDeps): Channel {
  const { clock, language } = deps;
  const post = createPost(of, deps);
  const book = new AlertBook(language);
  const keepFiring: KeepFiring = {
    everyMs,
    send: async (ongoing, signal) => {
      book.follow(ongoing, clock.now());
      const alerts = book.all.map(fromBook);
      return alerts.length === 0 ? null : post(alerts, signal);
    },
  };
  const testOf = (message: AlertMessage): object =>
    postable(alertOf(message, language), message.atMs, message.atMs + graceMs);
  const tell = async (messages: readonly AlertMessage[], signal: AbortSignal): Promise<Outcome> => {
    const tests = messages.filter(({ kind }) => kind === "test");
    const news = messages.filter(({ kind }) => kind !== "test");
    for (const message of news) book.note(message);
    const ids = new Set(news.map(({ incident }) => incident.id));
    const alerts = [...tests.map(testOf), ...[...ids].flatMap((id) => book.of(id)).map(fromBook)];
    return alerts.length === 0 ? { outcome: "sent", code: "superseded" } : post(alerts, signal);
  };
  return {
    takes: (subject) => !isReported(subject),
    keepFiring,
    send: (message, signal) => tell([message], signal),
    sendDigest: ({ items }, signal) =>
      tell(
        items.map(({ message }) => message),
        signal,
      ),
    close: async () => {},
  };
}

function warnings({ urls, token, password }: AlertmanagerSettings): string[] {
  const isClear = urls.some((url) => {
    const { protocol, hostname } = new URL(url);
    return protocol === "http:" && !isLoopback(hostname);
  });
  return isClear && (token ?? password) !== undefined
    ? ["urls: http:// shows the token or the password to the network; use https://"]
    : [];
}

/** Goes to every replica: one that cannot be reached is known before it is the last one. */
async function reachAll({ urls }: AlertmanagerSettings, signal: AbortSignal): Promise<Reached> {
  const all = await Promise.all(urls.map((url) => reachUrl(new URL(url), signal)));
  const failed = all.findIndex(({ ok }) => !ok);
  const first = all[failed];
  if (first !== undefined && !first.ok)
    return { ...first, reason: `${urls[failed]}: ${first.reason}` };
  return { ok: true, found: all.flatMap((one) => (one.ok ? [one.found] : [])).join(", ") };
}

/** Alertmanagers, which route, group and silence by themselves. */
export const alertmanager = defineChannel<AlertmanagerSettings>({
  type: "alertmanager",
  doc: "Every replica of an Alertmanager, by its API v2; what fires is sent again each minute.",
  settings: checked,
  fromFile: ["token", "password"],
  example: {
    type: "alertmanager",
    urls: ["http://alertmanager.example.com:9093"],
    token: "a-bearer-token",
    enabled: true,
  },
  // An Alertmanager has no limit of requests.
  limits: [],
  maxBytes: null,
  isForMachines: true,
  robot: ({ urls }) => urls.join(" "),
  warnings,
  reach: reachAll,
  create: createAlertmanager,
});
