import { STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { problem, problemType } from "./problem.ts";

/** Headers every answer has: nothing of this API is to be cached, framed, sniffed or embedded. */
export const safeHeaders: Readonly<Record<string, string>> = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
};

/** A whole answer as bytes, for requests that never get as far as a response object. */
function rawProblem(status: number, detail: string): string {
  const { body } = problem(status, detail);
  const text = typeof body === "string" ? body : "";
  const headers = {
    ...safeHeaders,
    "Content-Type": problemType,
    "Content-Length": String(Buffer.byteLength(text)),
    Connection: "close",
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines.join("")}\r\n${text}`;
}

/** What Node's parser objects to, by its error codes. */
const refusals = new Map<string | undefined, readonly [status: number, detail: string]>([
  ["HPE_HEADER_OVERFLOW", [431, "the request's headers are too large"]],
  ["HPE_CHUNK_EXTENSIONS_OVERFLOW", [413, "the body's chunk extensions are too large"]],
  ["ERR_HTTP_REQUEST_TIMEOUT", [408, "the request did not arrive in time"]],
]);

/** Answers what Node would answer without a body, or not at all, with a problem too. */
export function answerBelow(server: Server): void {
  const open = new WeakMap<Duplex, ServerResponse>();
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    open.set(request.socket, response);
    response.once("close", () => open.delete(request.socket));
  });
  server.on("clientError", (cause: NodeJS.ErrnoException, socket: Duplex) => {
    if (cause.code === "ECONNRESET" || !socket.writable || open.get(socket)?.headersSent === true)
      socket.destroy();
    else {
      socket.end(rawProblem(...(refusals.get(cause.code) ?? [400, "this is not an HTTP request"])));
      socket.once("finish", () => socket.destroy());
    }
  });
  server.on("connect", (_: IncomingMessage, socket: Duplex) => {
    socket.on("error", () => socket.destroy());
    socket.end(rawProblem(405, "this is no proxy"));
  });
  server.on("checkExpectation", (request: IncomingMessage) => {
    request.socket.end(rawProblem(417, "only Expect: 100-continue is understood"));
  });
}
