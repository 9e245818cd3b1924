import { createHmac, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";

/** A request as it came, and what it was answered. */
export interface Pushed {
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly raw: string;
  readonly body: unknown;
  readonly status: number;
}

export interface PushAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** `hang`: never answers; `drop`: closes the connection. */
type PushMisbehaviour = PushAnswer | "hang" | "drop";

/** A server that JSON is posted to. */
export interface Receiver {
  /** With no slash at the end. */
  readonly url: string;
  /** Requests that got an answer of the server's own, taken or not. */
  readonly requests: Pushed[];
  /** Requests that arrived. */
  arrived(): number;
  /** Answers so from now on, until told null. */
  respondWith(answer: PushMisbehaviour | null): void;
  close(): Promise<void>;
}

type Judge = (request: Omit<Pushed, "status">) => PushAnswer;

function parsed(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return undefined;
  }
}

async function startReceiver(judge: Judge): Promise<Receiver> {
  const requests: Pushed[] = [];
  let arrived = 0;
  let misbehaviour: PushMisbehaviour | null = null;
  const server = http.createServer((request, reply) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      arrived += 1;
      if (misbehaviour === "hang") return;
      if (misbehaviour === "drop") {
        request.socket.destroy();
        return;
      }
      const raw = Buffer.concat(chunks).toString("utf8");
      const path = request.url ?? "/";
      const { headers } = request;
      const pushed = { path, headers, raw, body: parsed(raw) };
      const answer = misbehaviour ?? judge(pushed);
      requests.push({ ...pushed, status: answer.status });
      reply.writeHead(answer.status, answer.headers).end(answer.body ?? "");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    arrived: () => arrived,
    respondWith: (answer) => {
      misbehaviour = answer;
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A receiver of webhooks that, given a secret, checks signatures as docs/channels.md tells receivers to. */
export function startWebhook({ secret }: { readonly secret?: string } = {}): Promise<Receiver> {
  return startReceiver(({ headers, raw }) => {
    if (secret === undefined) return { status: 200 };
    const timestamp = String(headers["x-timestamp"]);
    const expected = createHmac("sha256", secret).update(`${timestamp}.${raw}`).digest("hex");
    const given = Buffer.from(String(headers["x-signature"]));
    const wanted = Buffer.from(`sha256=${expected}`);
    return given.length === wanted.length && timingSafeEqual(given, wanted)
      ? { status: 200 }
      : { status: 401, body: "wrong signature\n" };
  });
}

/** An alert as an Alertmanager has it. */
export interface StoredAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAtMs: number;
  readonly endsAtMs: number;
}

export interface TestAlertmanager extends Receiver {
  /** What fires at a time, by the times it was told. */
  firing(nowMs: number): StoredAlert[];
  /** What it knows, also of alerts that are over. */
  known(): StoredAlert[];
}

/** RFC 3339 with a zone, as Go's strfmt reads it. */
const rfc3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

function texts(value: unknown): Record<string, string> | null {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const entries = Object.entries(value);
  return entries.every(([, text]) => typeof text === "string") ? Object.fromEntries(entries) : null;
}

function isUrl(value: unknown): boolean {
  return typeof value === "string" && URL.canParse(value);
}

function timeOf(value: unknown): number | null {
  return typeof value === "string" && rfc3339.test(value) ? Date.parse(value) : null;
}

/** What is wrong with an alert, or the alert: the checks of Alertmanager's API and of its model.Alert.Validate. */
function checkedAlert(input: unknown): StoredAlert | string {
  if (typeof input !== "object" || input === null) return "not an object";
  const {
    labels,
    annotations = {},
    startsAt,
    endsAt,
    generatorURL,
  } = input as Record<string, unknown>;
  const [own, notes] = [texts(labels), texts(annotations)];
  const [startsAtMs, endsAtMs] = [timeOf(startsAt), timeOf(endsAt)];
  if (own === null || notes === null) return "labels and annotations must be texts";
  if (startsAtMs === null || endsAtMs === null) return "startsAt and endsAt must be RFC 3339";
  if (endsAtMs < startsAtMs) return "start time must be before end time";
  const kept = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== ""));
  if (Object.keys(kept).length === 0) return "at least one label pair required";
  const strange = Object.keys(kept).find((name) => !/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name));
  if (strange !== undefined) return `invalid name ${JSON.stringify(strange)}`;
  if (generatorURL !== undefined && !isUrl(generatorURL)) return "generatorURL";
  return { labels: kept, annotations: notes, startsAtMs, endsAtMs };
}

function keyOf({ labels }: StoredAlert): string {
  return JSON.stringify(
    Object.entries(labels)
      .map((pair) => pair.join("="))
      .sort(),
  );
}

/** Two versions of an alert made one: types.Alert.Merge of Alertmanager. */
function merged(older: StoredAlert, newer: StoredAlert, nowMs: number): StoredAlert {
  const startsAtMs = Math.min(older.startsAtMs, newer.startsAtMs);
  const [wasOver, isOver] = [older.endsAtMs <= nowMs, newer.endsAtMs <= nowMs];
  const later = Math.max(older.endsAtMs, newer.endsAtMs);
  return { ...newer, startsAtMs, endsAtMs: isOver && !wasOver ? newer.endsAtMs : later };
}

/**
 * An Alertmanager as far as alerts come in: `POST <prefix>/api/v2/alerts`, a bad alert is refused with 400 while the
 * good ones beside it are taken, an alert is its label set and fires until its `endsAt`.
 */
export async function startAlertmanager(options: {
  readonly clock: { now(): number };
  readonly authorization?: string;
  readonly prefix?: string;
}): Promise<TestAlertmanager> {
  const { clock, authorization, prefix = "" } = options;
  const alerts = new Map<string, StoredAlert>();
  const take = (alert: StoredAlert): void => {
    const key = keyOf(alert);
    const known = alerts.get(key);
    // One that begins after the other's end is another alert.
    const isSame = known !== undefined && known.endsAtMs > alert.startsAtMs;
    alerts.set(key, isSame ? merged(known, alert, clock.now()) : alert);
  };
  const receiver = await startReceiver(({ path, headers, body }) => {
    if (authorization !== undefined && headers.authorization !== authorization)
      return { status: 401, body: "Unauthorized\n" };
    if (path !== `${prefix}/api/v2/alerts`) return { status: 404, body: "404 page not found\n" };
    if (headers["content-type"] !== "application/json" || !Array.isArray(body))
      return { status: 400, body: '{"code":400,"message":"parsing alerts body failed"}' };
    const checks = body.map(checkedAlert);
    for (const check of checks) if (typeof check !== "string") take(check);
    const wrong = checks.filter((check) => typeof check === "string");
    return wrong.length === 0
      ? { status: 200 }
      : { status: 400, body: JSON.stringify(wrong.join("; ")) };
  });
  return {
    ...receiver,
    firing: (nowMs) => [...alerts.values()].filter(({ endsAtMs }) => endsAtMs > nowMs),
    known: () => [...alerts.values()],
  };
}
