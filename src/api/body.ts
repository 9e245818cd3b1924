import type { IncomingMessage } from "node:http";
import { parseJson } from "./json.ts";
import { invalid, problem } from "./problem.ts";
import type { Reply } from "./reply.ts";

/** The biggest sensible body, an alert with labels and a message, has a few KiB. */
export const maxBodyBytes = 64 * 1024;
/** How a JSON body is read. */
export interface JsonBody {
  /** `optional`: a missing one is an empty object; `any`: a list is taken as well. */
  readonly shape: "required" | "optional" | "any";
  readonly maxBytes?: number | undefined;
}

/** A query of Grafana's that names a thousand nodes one by one has some 100 KiB. */
const maxFormBytes = 256 * 1024;

/** A body that was read, or the answer to one that cannot be. */
export type BodyResult =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reply: Reply };

/** Whether a Content-Type is JSON in UTF-8, the only encoding JSON has between strangers (RFC 8259). */
export function isJson(contentType: string | undefined): boolean {
  const [type = "", ...parameters] = (contentType ?? "").toLowerCase().split(";");
  return (
    type.trim() === "application/json" &&
    parameters.every((parameter) => {
      const [name, value] = parameter.split("=").map((part) => part.trim().replaceAll('"', ""));
      return name !== "charset" || value === "utf-8" || value === "utf8";
    })
  );
}

/** Whether a Content-Type is a form as HTML writes it. */
function isForm(contentType: string | undefined): boolean {
  const [type = ""] = (contentType ?? "").toLowerCase().split(";");
  return type.trim() === "application/x-www-form-urlencoded";
}

/** What to say about a body, or the lack of one, that is not declared as JSON. */
export function notJson(): Reply {
  return problem(415, "send Content-Type: application/json (UTF-8, not compressed)", [], {
    Accept: "application/json",
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

/** How a body is refused. */
type Refuse = (status: number, detail: string) => Reply;

/** The bytes of a body within the limit, or the refusal of it. */
async function bytesWithin(
  request: IncomingMessage,
  limit: number,
  refuse: Refuse,
): Promise<Buffer | Reply> {
  const tooLarge = (): Reply => refuse(413, `the body must not be larger than ${limit} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > limit) return tooLarge();
  const bytes = await readBytes(request, limit);
  if (bytes === "too large") return tooLarge();
  return bytes ?? refuse(400, "the body ended early");
}

/** The bytes of a body, `too large`, or null when the client went away. */
function readBytes(request: IncomingMessage, limit: number): Promise<Buffer | "too large" | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else {
        request.off("data", onData);
        request.resume();
        resolve("too large");
      }
    };
    request.on("data", onData);
    request.once("end", () => resolve(Buffer.concat(chunks)));
    request.once("error", () => resolve(null));
    request.once("close", () => resolve(null));
  });
}

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw invalid([{ path: "", message: "the body is not UTF-8" }]);
  }
}

function declaredWell({ headers }: IncomingMessage): boolean {
  const encoding = headers["content-encoding"] ?? "identity";
  return isJson(headers["content-type"]) && encoding === "identity";
}

function parseBody(bytes: Buffer, shape: JsonBody["shape"]): unknown {
  const value = parseJson(decode(bytes));
  // A list would pass for an object without members.
  if (Array.isArray(value) && shape !== "any")
    throw invalid([{ path: "", message: "expected an object, got a list" }]);
  return value;
}

/** Reads a JSON body. Throws INPUT_INVALID when it is not JSON. */
export async function readJson(
  request: IncomingMessage,
  { shape, maxBytes = maxBodyBytes }: JsonBody,
): Promise<BodyResult> {
  if (!hasBody(request)) {
    if (shape === "optional") return { ok: true, value: {} };
    throw invalid([{ path: "", message: "a JSON body is required" }]);
  }
  if (!declaredWell(request)) return { ok: false, reply: notJson() };
  const bytes = await bytesWithin(request, maxBytes, problem);
  return Buffer.isBuffer(bytes)
    ? { ok: true, value: parseBody(bytes, shape) }
    : { ok: false, reply: bytes };
}

/** Whether every percent sign of a form means a character. */
function isWellFormed(form: string): boolean {
  try {
    decodeURIComponent(form);
    return true;
  } catch {
    return false;
  }
}

/** Reads a form as `URLSearchParams`; a missing body is an empty one. Never throws. */
export async function readForm(
  request: IncomingMessage,
  refuse: Refuse = problem,
): Promise<BodyResult> {
  if (!hasBody(request)) return { ok: true, value: new URLSearchParams() };
  const encoding = request.headers["content-encoding"] ?? "identity";
  if (!isForm(request.headers["content-type"]) || encoding !== "identity") {
    const detail = "send Content-Type: application/x-www-form-urlencoded (not compressed)";
    return { ok: false, reply: refuse(415, detail) };
  }
  const bytes = await bytesWithin(request, maxFormBytes, refuse);
  if (!Buffer.isBuffer(bytes)) return { ok: false, reply: bytes };
  const form = bytes.toString("latin1");
  return isWellFormed(form)
    ? { ok: true, value: new URLSearchParams(form) }
    : { ok: false, reply: refuse(400, "the form is not well-formed") };
}
