import { createHash } from "node:crypto";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";

/** One request as the server saw it. */
export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** A fixed answer; an object becomes JSON. */
export interface AdminReply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Answers by itself: drips, hangs up, sends what no reply could say. */
export type AdminHandler = (
  request: http.IncomingMessage,
  response: http.ServerResponse,
  body: string,
) => void;

export const configPath = "/api/servers/config/";
export const recordsPath = "/api/alert-records/report/";

/** A real HTTP server that behaves like an admin server, and misbehaves when told to. */
export interface AdminServer {
  /** `http://127.0.0.1:port`, with the prefix when one was asked for. */
  readonly url: string;
  readonly port: number;
  /** Every request, oldest first. */
  readonly requests: AdminRequest[];
  /** Records it took, each id once, in the order of their arrival. */
  readonly records: Record<string, unknown>[];
  /** Serves this configuration from now on, with an ETag and 304 answers. */
  serve(config: unknown, etag?: string): void;
  /** Answers configuration requests like this from now on. */
  answerConfig(answer: AdminReply | AdminHandler): void;
  /** Answers records like this from now on; null: takes them again. */
  answerRecords(answer: AdminReply | AdminHandler | null): void;
  close(): Promise<void>;
}

function send(response: http.ServerResponse, { status = 200, headers = {}, body }: AdminReply) {
  const text = typeof body === "string" || body === undefined ? (body ?? "") : JSON.stringify(body);
  const type = typeof body === "string" ? "text/plain" : "application/json";
  response.writeHead(status, { "Content-Type": type, ...headers });
  response.end(text);
}

async function readAll(request: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

/** Starts one on a free port of the loopback interface (or the port given); with a token, it answers 401 without it. */
export async function startAdminServer(
  options: { token?: string; prefix?: string; port?: number } = {},
): Promise<AdminServer> {
  const { token, prefix = "" } = options;
  const requests: AdminRequest[] = [];
  const records: Record<string, unknown>[] = [];
  const sockets = new Set<Socket>();
  let config: AdminReply | AdminHandler = { status: 404, body: { message: "unknown node" } };
  let record: AdminReply | AdminHandler | null = null;

  const take: AdminHandler = (_request, response, body) => {
    const posted = JSON.parse(body) as Record<string, unknown>;
    const known = records.some(({ id }) => id === posted["id"]);
    if (!known) records.push(posted);
    send(response, { body: { code: 0, data: { duplicate: known } } });
  };
  const handle = async (request: http.IncomingMessage, response: http.ServerResponse) => {
    const body = await readAll(request);
    const [path = ""] = (request.url ?? "").split("?");
    requests.push({
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body,
    });
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
      return send(response, { status: 401, body: { message: "who are you?" } });
    const answer =
      path === prefix + configPath
        ? config
        : path === prefix + recordsPath
          ? (record ?? take)
          : { status: 404, body: { message: "no such page" } };
    if (typeof answer === "function") answer(request, response, body);
    else send(response, answer);
  };
  const server = http.createServer((request, response) => {
    handle(request, response).catch((cause: unknown) => {
      response.writeHead(500).end(String(cause));
    });
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${prefix}`,
    port,
    requests,
    records,
    serve: (value, given) => {
      const body = JSON.stringify(value);
      const etag = given ?? `"${createHash("sha256").update(body).digest("hex").slice(0, 12)}"`;
      config = (request, response) => {
        if (request.headers["if-none-match"] === etag)
          response.writeHead(304, { ETag: etag }).end();
        else send(response, { headers: { ETag: etag }, body: value });
      };
    },
    answerConfig: (answer) => {
      config = answer;
    },
    answerRecords: (answer) => {
      record = answer;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
