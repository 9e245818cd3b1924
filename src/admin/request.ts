import { createHash } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http";
import { deadline } from "../base/every.ts";
import {
  headerSafe,
  retryAfterMs as askedWaitMs,
  type HttpClient,
  type HttpReply,
  type HttpRequest,
} from "../base/http.ts";
import { kindOf } from "../base/parse.ts";
import { createRedactor, Secret, type Redactor, decoded } from "../base/secret.ts";
import { truncateBytes } from "../base/text.ts";
import { AgentError, errorText } from "../core/errors.ts";
import type { NodeIdentity } from "../core/node.ts";
import type { Clock } from "../core/ports.ts";

/** Where the admin server is and how it is spoken to; the `admin` part of the configuration. */
export interface AdminSettings {
  /** May carry a path prefix. */
  readonly baseUrl: string;
  readonly configEndpoint: string;
  readonly alertEndpoint: string;
  readonly token: Secret | null;
  readonly syncIntervalMs: number;
}

/** A whole answer, or why there is none; `answered` tells a server that said too much from one that said nothing. */
export type Asked =
  | { readonly ok: true; readonly reply: HttpReply }
  | {
      readonly ok: false;
      readonly code: string;
      readonly reason: string;
      readonly answered: boolean;
    };

/** A configuration is a few kilobytes: a server that takes longer than this is as good as down. */
const deadlineMs = 5_000;

/** 1 MiB holds some thousand rules; more is not a configuration. */
const maxAnswerBytes = 1024 * 1024;

/** A wait that a server asks for is honoured up to one hour: a slip of its clock must not silence the agent for days. */
const longestWaitMs = 3_600_000;

/** How much of a server's own words is passed on. */
const maxWordsBytes = 200;
const maxCodeBytes = 40;

/** Joins the base address and an endpoint with one slash; a path prefix and queries of both stay. */
export function endpointUrl(baseUrl: string, endpoint: string): string {
  const url = new URL(baseUrl);
  const [path = "", ...query] = endpoint.split("?");
  url.pathname = `${url.pathname.replace(/\/+$/, "")}/${path.replace(/^\/+/, "")}`;
  url.search = [url.search.slice(1), query.join("?")].filter((part) => part !== "").join("&");
  url.hash = "";
  return url.href;
}

/** The headers of every request to the admin server: who asks, and the proof that it may. */
export function adminHeaders(node: NodeIdentity, token: Secret | null): Record<string, string> {
  return {
    Accept: "application/json",
    "Accept-Encoding": "identity",
    "X-Client-IP": headerSafe(node.ip),
    "X-Node-Name": headerSafe(node.name),
    "X-Cluster": headerSafe(node.cluster),
    ...(token === null ? {} : { Authorization: `Bearer ${token.reveal()}` }),
  };
}

/** Masks the token, and a password in the base address, in texts that the server wrote. */
export function adminRedactor({ baseUrl, token }: AdminSettings): Redactor {
  const redactor = createRedactor();
  redactor.learn(token);
  const password = URL.canParse(baseUrl) ? new URL(baseUrl).password : "";
  if (password !== "") redactor.learn(new Secret(decoded(password)));
  return redactor;
}

/** A short name for a content: 16 hexadecimal digits of its SHA-256. */
export function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Codes by which Node and OpenSSL say that no secure connection came about. */
const tlsCode =
  /^(?:ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO|INVALID_CA|INVALID_PURPOSE)/;

interface SystemError extends Error {
  readonly code?: unknown;
}

/** OpenSSL's own words inside `…:error:0A00010B:SSL routines:function:words:file:line:`. */
const opensslWords = /:error:[0-9A-F]+:[^:]*:[^:]*:([^:]+)/;

function transportReason(code: string, cause: SystemError): string {
  if (tlsCode.test(code)) {
    const said = opensslWords.exec(cause.message)?.[1] ?? cause.message;
    return `no secure connection (TLS): ${said} (${code})`;
  }
  if (code.startsWith("HPE_")) return `the answer is not HTTP (${code})`;
  if (cause.message === "aborted") return "the connection closed in the middle of the answer";
  if (code === "ECONNRESET" || code === "EPIPE")
    return `the connection closed before an answer (${code})`;
  return `no connection: ${cause.message === "" ? code : cause.message}`;
}

function failure(thrown: unknown): Asked {
  const cause = thrown instanceof AgentError ? thrown.cause : thrown;
  if (cause instanceof AgentError)
    return { ok: false, code: "too_long", reason: cause.message, answered: true };
  if (!(cause instanceof Error) || !("code" in cause))
    return { ok: false, code: "network", reason: errorText(thrown), answered: false };
  const system: SystemError = cause;
  const code = typeof system.code === "string" ? system.code : "network";
  return { ok: false, code, reason: transportReason(code, system), answered: false };
}

/** Asks within five seconds; whatever goes wrong on the way is a value that says what, without an address or a secret. */
export async function ask(
  { http, clock }: { readonly http: HttpClient; readonly clock: Clock },
  request: Omit<HttpRequest, "signal" | "maxBytes">,
  signal: AbortSignal,
): Promise<Asked> {
  const limit = deadline(clock, deadlineMs, signal);
  try {
    const reply = await http.request({
      ...request,
      signal: limit.signal,
      maxBytes: maxAnswerBytes,
    });
    return { ok: true, reply };
  } catch (cause) {
    if (signal.aborted)
      return { ok: false, code: "aborted", reason: "the agent is stopping", answered: false };
    if (limit.signal.aborted) {
      const reason = `no whole answer within ${deadlineMs / 1_000} s`;
      return { ok: false, code: "timeout", reason, answered: false };
    }
    return failure(cause);
  } finally {
    limit.clear();
  }
}

/** How long the server asks to wait, milliseconds; undefined when it does not. */
export function retryAfterMs(headers: IncomingHttpHeaders, nowMs: number): number | undefined {
  return askedWaitMs(headers, nowMs, longestWaitMs);
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads JSON, with or without a byte order mark; undefined when it is none. */
export function parseJson(body: string): unknown {
  try {
    return JSON.parse(body.replace(/^\uFEFF/, ""));
  } catch {
    return undefined;
  }
}

/** The server's own explanation inside an answer, on one line and cut short; empty when it gives none. */
export function serverWords(answer: unknown): string {
  if (!isObject(answer)) return "";
  const nested = isObject(answer["error"]) ? answer["error"]["message"] : answer["error"];
  const said = [answer["message"], answer["msg"], nested, answer["detail"]].find(
    (words): words is string => typeof words === "string" && words !== "",
  );
  return truncateBytes((said ?? "").replaceAll(/[\p{Cc}\s]+/gu, " ").trim(), maxWordsBytes);
}

/** The server's own code inside an answer, on one line and cut short; undefined when it gives none. */
export function serverCode(answer: unknown): string | undefined {
  const code = isObject(answer) ? (answer["code"] ?? undefined) : undefined;
  if (code === undefined) return undefined;
  const text = typeof code === "string" || typeof code === "number" ? String(code) : kindOf(code);
  return truncateBytes(text.replaceAll(/[\p{Cc}\s]+/gu, " "), maxCodeBytes);
}

/** Codes that mean success inside an answer, as numbers or texts; none is success too. */
export function isSuccessCode(code: string | undefined): boolean {
  return code === undefined || code === "0" || code === "200";
}
