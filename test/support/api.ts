import http from "node:http";
import net from "node:net";
import { createApi, type Api, type ServerTimeouts } from "../../src/api/server.ts";
import type { ApiSettings } from "../../src/api/ports.ts";
import { createLog } from "../../src/base/log.ts";
import { createRedactor, Secret, type Redactor } from "../../src/base/secret.ts";
import type { Clock } from "../../src/core/ports.ts";
import { renderAction } from "../../src/web/action.ts";
import { createPage } from "../../src/web/page.ts";
import { ManualClock } from "./clock.ts";
import { MemoryView } from "./view.ts";

export interface TestApiOptions {
  readonly host?: string;
  readonly port?: number;
  readonly token?: string;
  readonly protect?: ApiSettings["protect"];
  readonly clock?: Clock;
  readonly timeouts?: ServerTimeouts;
  /** An empty one without it. */
  readonly view?: MemoryView;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined when it is none. */
  readonly json: unknown;
}

/** The JSON of a refusal. */
export interface ProblemJson {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
}

export interface HttpQuestion {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders;
  /** A text is sent as it is; anything else as JSON with its content type. */
  readonly body?: unknown;
  readonly agent?: http.Agent;
}

/** A running API over a `MemoryView`, its log lines, and a client. */
export interface TestApi {
  readonly api: Api;
  readonly view: MemoryView;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly log: string[];
  readonly host: string;
  readonly port: number;
  ask(path: string, question?: HttpQuestion): Promise<HttpAnswer>;
  /** Sends bytes and gives everything that came back until the connection ended. */
  raw(bytes: string): Promise<string>;
}

export async function startApi(options: TestApiOptions = {}): Promise<TestApi> {
  const view = options.view ?? new MemoryView();
  const clock = options.clock ?? new ManualClock();
  const redactor = createRedactor();
  const log: string[] = [];
  const token = options.token === undefined ? null : new Secret(options.token);
  redactor.learn(token);
  const api = createApi({
    view,
    settings: {
      host: options.host ?? "127.0.0.1",
      port: options.port ?? 0,
      token,
      protect: options.protect ?? "writes",
    },
    clock,
    log: createLog({
      level: "debug",
      format: "text",
      clock,
      redactor,
      write: (line) => void log.push(line),
    }),
    redactor,
    renderPage: createPage({ view, clock, redactor }),
    renderAction,
    ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
  });
  const { host, port } = await api.start();
  return {
    api,
    view,
    clock,
    redactor,
    log,
    host,
    port,
    ask: (path, question = {}) => ask({ host, port }, path, question),
    raw: (bytes) => raw({ host, port }, bytes),
  };
}

/** One request; Node's client, so that `Host` and `Origin` are the test's. */
export function ask(
  to: { readonly host: string; readonly port: number },
  path: string,
  { method = "GET", headers = {}, body, agent }: HttpQuestion = {},
): Promise<HttpAnswer> {
  const text = body === undefined || typeof body === "string" ? body : JSON.stringify(body);
  const json = typeof body === "object" ? { "Content-Type": "application/json" } : {};
  return new Promise((resolve, reject) => {
    const request = http.request(
      {
        ...to,
        path,
        method,
        agent: agent ?? false,
        headers: {
          ...json,
          ...(text === undefined ? {} : { "Content-Length": Buffer.byteLength(text) }),
          ...headers,
        },
      },
      (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.on("error", reject);
        reply.on("end", () => {
          const answer = Buffer.concat(chunks).toString("utf8");
          const isJson = (reply.headers["content-type"] ?? "").includes("json") && answer !== "";
          const parsed: unknown = isJson ? JSON.parse(answer) : undefined;
          resolve({
            status: reply.statusCode ?? 0,
            headers: reply.headers,
            text: answer,
            json: parsed,
          });
        });
      },
    );
    request.on("error", reject);
    // As bytes: Node would write a text and the headers in one piece, in the encoding of the text.
    request.end(text === undefined ? undefined : Buffer.from(text));
  });
}

function raw(to: { readonly host: string; readonly port: number }, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(to.port, to.host, () => socket.write(bytes));
    let text = "";
    socket.on("data", (chunk: Buffer) => (text += chunk.toString("utf8")));
    socket.on("error", reject);
    socket.on("close", () => resolve(text));
  });
}
