import http from "node:http";
import https from "node:https";
import { AgentError, codeOf } from "../core/errors.ts";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal: AbortSignal;
  /** Longer answers are refused. */
  readonly maxBytes?: number;
  /** An answer that is longer or breaks off is given as far as it came: its status was heard, whatever comes after. */
  readonly partial?: boolean;
}

export interface HttpReply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: string;
}

/** Requests over a few kept connections; no redirects (a robot or an admin server has no business with them). */
export interface HttpClient {
  request(request: HttpRequest): Promise<HttpReply>;
  close(): void;
}

/** No service the agent talks to answers more than this; an endless answer must not fill the memory. */
const defaultMaxBytes = 4 * 1024 * 1024;

/** The whole text of an answer. Throws HTTP_FAILED when it is longer than allowed. */
export async function readBody(
  reply: http.IncomingMessage,
  maxBytes = defaultMaxBytes,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes)
      throw new AgentError("HTTP_FAILED", `answer longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The text of an answer, up to so many bytes of it or to where it broke off. */
async function readBeginning(
  reply: http.IncomingMessage,
  maxBytes: number,
  signal: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of reply as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size >= maxBytes) break;
    }
  } catch (cause) {
    if (signal.aborted) throw cause;
  }
  return Buffer.concat(chunks).subarray(0, maxBytes).toString("utf8");
}

/** The server's clock by its `Date` header, Unix milliseconds in whole seconds; null without one. */
export function serverMs({ date }: http.IncomingHttpHeaders): number | null {
  const ms = Date.parse(date ?? "");
  return Number.isNaN(ms) ? null : ms;
}

/** How long a server asks to wait (`Retry-After` in seconds or as a date), milliseconds; undefined when it does not. */
export function retryAfterMs(
  headers: http.IncomingHttpHeaders,
  nowMs: number,
  longestMs: number,
): number | undefined {
  const text = headers["retry-after"]?.trim() ?? "";
  const ms = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - nowMs;
  return Number.isNaN(ms) ? undefined : Math.min(longestMs, Math.max(0, ms));
}

/** A text fit for a header: everything but visible ASCII, and `%` itself, percent-encoded as UTF-8. */
export function headerSafe(text: string): string {
  return text.toWellFormed().replaceAll(/[^\x21-\x24\x26-\x7e]/gu, encodeURIComponent);
}

/** Node's own message of a refused dual-stack connection is empty; the code says what happened. */
export function describeFailure(cause: unknown, signal: AbortSignal): string {
  if (signal.aborted) return signal.reason instanceof Error ? signal.reason.message : "aborted";
  if (!(cause instanceof Error)) return String(cause);
  return cause.message === "" ? (codeOf(cause) ?? "") : cause.message;
}

/** Sends a request; resolves with the head of the answer. Rejects with the system's own error. */
export function openRequest(
  url: URL,
  options: Omit<https.RequestOptions, "headers"> & {
    readonly headers: Readonly<Record<string, string>>;
  },
  body?: string,
): Promise<http.IncomingMessage> {
  const bytes = body === undefined ? undefined : Buffer.from(body);
  return new Promise((resolve, reject) => {
    const whole: https.RequestOptions = {
      ...options,
      headers: {
        ...options.headers,
        ...(bytes === undefined ? {} : { "Content-Length": String(bytes.length) }),
      },
    };
    const sent = (url.protocol === "https:" ? https : http).request(url, whole, resolve);
    sent.on("error", reject);
    sent.end(bytes);
  });
}

/**
 * A client over `node:http` and `node:https`: `fetch` would cost 10 MB of resident memory for nothing more.
 * Throws HTTP_FAILED when no whole answer arrives, of a partial one its head; any status is an answer.
 */
export function createHttpClient(): HttpClient {
  const agents = {
    "http:": new http.Agent({ keepAlive: true, maxSockets: 4, timeout: 30_000 }),
    "https:": new https.Agent({ keepAlive: true, maxSockets: 4, timeout: 30_000 }),
  };
  const open = ({ url, method, signal, headers, body }: HttpRequest) => {
    const address = new URL(url);
    const agent = address.protocol === "https:" ? agents["https:"] : agents["http:"];
    return openRequest(address, { method, agent, signal, headers: headers ?? {} }, body);
  };
  return {
    request: async (request) => {
      try {
        const reply = await open(request);
        const { maxBytes = defaultMaxBytes, partial = false, signal } = request;
        const body = await (partial
          ? readBeginning(reply, maxBytes, signal)
          : readBody(reply, maxBytes));
        return { status: reply.statusCode ?? 0, headers: reply.headers, body };
      } catch (cause) {
        throw new AgentError("HTTP_FAILED", describeFailure(cause, request.signal), { cause });
      }
    },
    close: () => {
      agents["http:"].destroy();
      agents["https:"].destroy();
    },
  };
}
