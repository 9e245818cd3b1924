import { createHmac } from "node:crypto";
import http from "node:http";
import type { AddressInfo } from "node:net";

/** A JSON object of which nothing is known. */
export type Json = Record<string, unknown>;

/** One message a robot took. */
export interface ReceivedMessage {
  readonly atMs: number;
  readonly body: Json;
  /** The title of a card or of markdown. */
  readonly title: string;
  /** Everything people would read, the title too. */
  readonly text: string;
  readonly bytes: number;
}

/** What a robot answers. */
export interface RobotAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** An object is sent as JSON. */
  readonly body: string | Json;
}

/** `hang`: accepts the request and never answers; `drop`: closes the connection. */
export type Misbehaviour = RobotAnswer | "hang" | "drop";

export interface RobotOptions {
  /** The signing secret; without one signatures are not looked at. */
  readonly secret?: string;
  /** A word every message must hold. */
  readonly keyword?: string;
  /** The token of the only robot there is. */
  readonly token?: string;
  /** Unix milliseconds; the system's clock by default. */
  readonly clock?: { now(): number };
  /** The address to listen on; loopback by default. */
  readonly host?: string;
  /** False: messages are not counted. */
  readonly limits?: boolean;
  /** How long it takes to answer a message; it is counted when it arrives. */
  readonly latencyMs?: number;
  /** The HTTP status of Feishu's refusals, which differ by code and over time. */
  readonly errorStatus?: number;
}

export interface Robot {
  /** The webhook address, token included. */
  readonly url: string;
  readonly token: string;
  /** What was taken, in order. */
  readonly received: ReceivedMessage[];
  /** Every answer, taken or not, as its code. */
  readonly answers: number[];
  /** Requests that arrived. */
  requests(): number;
  /** Answers so from now on, until told null; a number of times when given. */
  respondWith(answer: Misbehaviour | null, times?: number): void;
  close(): Promise<void>;
}

const hourMs = 3_600_000;

function textsOf(value: unknown): string[] {
  if (typeof value === "string") return [value];
  return typeof value === "object" && value !== null
    ? Object.values(value as Json).flatMap(textsOf)
    : [];
}

function at(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) =>
      typeof inner === "object" && inner !== null ? (inner as Json)[key] : undefined,
    value,
  );
}

/** Counts messages as the services do: by arrival, in any window. */
function createCounter(limits: readonly { count: number; perMs: number }[]): {
  take(nowMs: number): boolean;
} {
  let arrivals: number[] = [];
  return {
    take: (nowMs) => {
      const free = limits.every(
        ({ count, perMs }) => arrivals.filter((then) => then > nowMs - perMs).length < count,
      );
      if (free) arrivals = [...arrivals, nowMs].slice(-1_000);
      return free;
    },
  };
}

interface Arrived {
  readonly url: URL;
  readonly raw: string;
  readonly nowMs: number;
}

interface Verdict {
  readonly code: number;
  readonly answer: RobotAnswer;
  readonly message?: ReceivedMessage;
}

async function startRobot(
  path: string,
  options: RobotOptions,
  judge: (arrived: Arrived) => Verdict,
): Promise<Omit<Robot, "token">> {
  const clock = options.clock ?? { now: () => Date.now() };
  const received: ReceivedMessage[] = [];
  const answers: number[] = [];
  let requests = 0;
  let misbehaviour: { answer: Misbehaviour; left: number } | null = null;

  const send = (reply: http.ServerResponse, { status = 200, headers, body }: RobotAnswer): void => {
    reply.writeHead(status, {
      "Content-Type": "application/json",
      Date: new Date(clock.now()).toUTCString(),
      ...headers,
    });
    reply.end(typeof body === "string" ? body : JSON.stringify(body));
  };

  const server = http.createServer((request, reply) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      requests += 1;
      if (misbehaviour !== null && misbehaviour.left > 0) {
        misbehaviour.left -= 1;
        if (misbehaviour.answer === "hang") return;
        if (misbehaviour.answer === "drop") request.socket.destroy();
        else send(reply, misbehaviour.answer);
        return;
      }
      const url = new URL(request.url ?? "/", "http://robot");
      const raw = Buffer.concat(chunks).toString("utf8");
      const verdict = judge({ url, raw, nowMs: clock.now() });
      answers.push(verdict.code);
      if (verdict.message !== undefined) received.push(verdict.message);
      setTimeout(() => send(reply, verdict.answer), options.latencyMs ?? 0);
    });
  });
  const { host = "127.0.0.1" } = options;
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${host}:${port}${path}`,
    received,
    answers,
    requests: () => requests,
    respondWith: (answer, times = Number.POSITIVE_INFINITY) => {
      misbehaviour = answer === null ? null : { answer, left: times };
    },
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function parseBody(raw: string): Json | null {
  try {
    const body: unknown = JSON.parse(raw);
    return typeof body === "object" && body !== null ? (body as Json) : null;
  } catch {
    return null;
  }
}

/** The signature of a Feishu robot, computed as its documentation says. */
function feishuSignature(timestamp: string, secret: string): string {
  return createHmac("sha256", `${timestamp}\n${secret}`).update("").digest("base64");
}

/** Whether a card of schema 2.0 has a body of elements, and none that only schema 1.0 knows. */
function isCard(card: unknown): boolean {
  const elements = at(card, "body", "elements");
  const known = ["div", "markdown", "button", "hr", "column_set"];
  return (
    at(card, "schema") === "2.0" &&
    at(card, "elements") === undefined &&
    Array.isArray(elements) &&
    elements.every((element) => known.includes(String(at(element, "tag"))))
  );
}

/**
 * A Feishu custom bot: signature in the body and valid for an hour, keyword, 100 a minute and 5 a second, 20 KB.
 * Refusals have a code and, by default, HTTP 400.
 */
export async function startFeishu(options: RobotOptions = {}): Promise<Robot> {
  const { secret, keyword, token = "f0000000-1111-2222-3333-444444444444" } = options;
  const path = `/open-apis/bot/v2/hook/${token}`;
  const counter = createCounter([
    { count: 100, perMs: 60_000 },
    { count: 5, perMs: 1_000 },
  ]);
  const refuse = (code: number, msg: string): Verdict => ({
    code,
    answer: { status: options.errorStatus ?? 400, body: { code, msg, data: {} } },
  });
  const signed = (body: Json, nowMs: number): boolean => {
    const { timestamp, sign } = body;
    if (typeof timestamp !== "string" || !/^\d{10}$/.test(timestamp)) return false;
    if (Math.abs(nowMs - Number(timestamp) * 1_000) > hourMs) return false;
    return sign === feishuSignature(timestamp, secret ?? "");
  };
  const judge = ({ url, raw, nowMs }: Arrived): Verdict => {
    if (url.pathname !== path)
      return refuse(19001, "param invalid: incoming webhook access token invalid");
    const body = parseBody(raw);
    const type = body?.["msg_type"];
    const complete =
      (type === "interactive" &&
        isCard(at(body, "card")) &&
        typeof at(body, "card", "header", "title", "content") === "string") ||
      (type === "text" && typeof at(body, "content", "text") === "string") ||
      (type === "post" && at(body, "content", "post") !== undefined);
    if (body === null || Buffer.byteLength(raw) > 20 * 1024 || !complete)
      return refuse(9499, "Bad Request");
    if (secret !== undefined && !signed(body, nowMs))
      return refuse(19021, "sign match fail or timestamp is not within one hour from current time");
    const title = at(body, "card", "header", "title", "content");
    const text = textsOf([
      body["content"],
      at(body, "card", "header", "title"),
      at(body, "card", "body", "elements"),
    ]).join("\n");
    if (keyword !== undefined && !text.includes(keyword))
      return refuse(19024, "Key Words Not Found");
    if (options.limits !== false && !counter.take(nowMs))
      return refuse(11232, "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]");
    return {
      code: 0,
      answer: {
        body: { StatusCode: 0, StatusMessage: "success", code: 0, data: {}, msg: "success" },
      },
      message: {
        atMs: nowMs,
        body,
        title: typeof title === "string" ? title : "",
        text,
        bytes: Buffer.byteLength(raw),
      },
    };
  };
  return { ...(await startRobot(path, options, judge)), token };
}

/**
 * A DingTalk custom robot: signature in the query and valid for an hour, keyword, 20 a minute and then ten minutes
 * of 130101, 20,000 bytes. Every answer is HTTP 200; the errcode says what it means.
 */
export async function startDingtalk(options: RobotOptions = {}): Promise<Robot> {
  const {
    secret,
    keyword,
    token = "d0000000000000000000000000000000000000000000000000000000000000ff",
  } = options;
  const counter = createCounter([{ count: 20, perMs: 60_000 }]);
  let blockedUntilMs = 0;
  const refuse = (errcode: number, errmsg: string): Verdict => ({
    code: errcode,
    answer: { body: { errcode, errmsg } },
  });
  const securityFault = (url: URL, text: string, nowMs: number): Verdict | null => {
    if (secret !== undefined) {
      const timestamp = url.searchParams.get("timestamp") ?? "";
      const expected = createHmac("sha256", secret)
        .update(`${timestamp}\n${secret}`)
        .digest("base64");
      if (!/^\d{13}$/.test(timestamp) || Math.abs(nowMs - Number(timestamp)) > hourMs)
        return refuse(310000, "invalid timestamp");
      if (url.searchParams.get("sign") !== expected)
        return refuse(
          310000,
          "sign not match, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]",
        );
    }
    if (keyword !== undefined && !text.includes(keyword))
      return refuse(
        310000,
        "keywords not in content, more: [https://ding-doc.dingtalk.com/doc#/serverapi2/qf2nxq]",
      );
    return null;
  };
  const judge = ({ url, raw, nowMs }: Arrived): Verdict => {
    if (url.pathname !== "/robot/send" || url.searchParams.get("access_token") !== token)
      return refuse(300001, "token is not exist");
    if (Buffer.byteLength(raw) > 20_000)
      return refuse(460101, "message too long, exceed 20000 bytes");
    const body = parseBody(raw);
    if (body === null) return refuse(43004, "invalid json");
    const title = at(body, "markdown", "title") ?? at(body, "actionCard", "title");
    const text = textsOf([body["text"], body["markdown"], body["actionCard"]]).join("\n");
    if (text === "") return refuse(40035, "缺少参数 json");
    const fault = securityFault(url, text, nowMs);
    if (fault !== null) return fault;
    if (options.limits !== false && (nowMs < blockedUntilMs || !counter.take(nowMs))) {
      if (nowMs >= blockedUntilMs) blockedUntilMs = nowMs + 600_000;
      return refuse(130101, "send too fast, exceed 20 times per minute");
    }
    return {
      code: 0,
      answer: { body: { errcode: 0, errmsg: "ok" } },
      message: {
        atMs: nowMs,
        body,
        title: typeof title === "string" ? title : "",
        text,
        bytes: Buffer.byteLength(raw),
      },
    };
  };
  const path = `/robot/send?access_token=${token}`;
  return { ...(await startRobot(path, options, judge)), token };
}

function contentOf(body: Json): { text: string; maxBytes: number } | null {
  const markdown = at(body, "markdown", "content");
  if (body["msgtype"] === "markdown" && typeof markdown === "string")
    return { text: markdown, maxBytes: 4_096 };
  const text = at(body, "text", "content");
  return body["msgtype"] === "text" && typeof text === "string" ? { text, maxBytes: 2_048 } : null;
}

/**
 * A WeCom group robot: no signature, 20 a minute and then 45009, 4096 bytes of markdown or 2048 of text. Every answer
 * is HTTP 200; the errcode says what it means.
 */
export async function startWecom(options: RobotOptions = {}): Promise<Robot> {
  const { token = "e0000000-1111-2222-3333-444444444444" } = options;
  const counter = createCounter([{ count: 20, perMs: 60_000 }]);
  const refuse = (errcode: number, errmsg: string): Verdict => ({
    code: errcode,
    answer: { body: { errcode, errmsg } },
  });
  const judge = ({ url, raw, nowMs }: Arrived): Verdict => {
    if (url.pathname !== "/cgi-bin/webhook/send" || url.searchParams.get("key") !== token)
      return refuse(93000, "invalid webhook url");
    const body = parseBody(raw);
    const content = body === null ? null : contentOf(body);
    if (body === null || content === null) return refuse(40008, "invalid message type");
    const { text, maxBytes } = content;
    if (Buffer.byteLength(text) > maxBytes)
      return refuse(
        40058,
        `markdown.content exceed max length ${maxBytes}. invalid Request Parameter`,
      );
    if (options.limits !== false && !counter.take(nowMs))
      return refuse(45009, "api freq out of limit");
    const [title = ""] = text.split("\n");
    return {
      code: 0,
      answer: { body: { errcode: 0, errmsg: "ok" } },
      message: { atMs: nowMs, body, title, text, bytes: Buffer.byteLength(text) },
    };
  };
  const path = `/cgi-bin/webhook/send?key=${token}`;
  return { ...(await startRobot(path, options, judge)), token };
}

function sectionsOf(body: Json): string[] {
  const blocks = at(body, "attachments", "0", "blocks");
  return (Array.isArray(blocks) ? blocks : []).map((block) => {
    const text = at(block, "text", "text");
    return typeof text === "string" ? text : "";
  });
}

/**
 * A Slack incoming webhook: one message a second and then HTTP 429, 3000 characters in a section. Answers are a word,
 * `ok` with HTTP 200 for a message taken; `answers` has the HTTP status.
 */
export async function startSlack(options: RobotOptions = {}): Promise<Robot> {
  const { token = "s00000000000000000000000" } = options;
  const path = `/services/T00000000/B00000000/${token}`;
  const counter = createCounter([{ count: 1, perMs: 1_000 }]);
  const say = (status: number, body: string, headers: Record<string, string> = {}): Verdict => ({
    code: status,
    answer: { status, body, headers: { "Content-Type": "text/html", ...headers } },
  });
  const judge = ({ url, raw, nowMs }: Arrived): Verdict => {
    if (url.pathname !== path) return say(404, "no_service");
    const body = parseBody(raw);
    if (body === null) return say(400, "invalid_payload");
    const title = body["text"];
    if (typeof title !== "string" || title === "") return say(400, "no_text");
    const sections = sectionsOf(body);
    if (sections.some((text) => text === "" || text.length > 3_000))
      return say(400, "invalid_blocks");
    if (options.limits !== false && !counter.take(nowMs))
      return say(429, "rate_limited", { "Retry-After": "1" });
    const text = [title, ...sections].join("\n");
    return {
      ...say(200, "ok"),
      message: { atMs: nowMs, body, title, text, bytes: Buffer.byteLength(raw) },
    };
  };
  return { ...(await startRobot(path, options, judge)), token };
}
