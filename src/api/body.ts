import type { IncomingMessage } from "node:http";
import { parseJson } from "./json.ts";
import { invalid, problem } from "./problem.ts";
import type { Reply } from "./reply.ts";

/** The biggest sensible body, an alert with labels and a message, has a few KiB. */
export const maxBodyBytes = 64 * 1024;

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

/** What to say about a body, or the lack of one, that is not declared as JSON. */
export function notJson(): Reply {
  return problem(415, "send Content-Type: application/json (UTF-8, not compressed)", [], {
    Accept: "application/json",
  });
}

function hasBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function tooLarge(): BodyResult {
  return {
    ok: false,
    reply: problem(413, `the body must not be larger than ${maxBodyBytes} bytes`),
  };
}

/** The bytes of a body, `too large`, or null when the client went away. */
function readBytes(request: IncomingMessage): Promise<Buffer | "too large" | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= maxBodyBytes) chunks.push(chunk);
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

function parseBody(bytes: Buffer): unknown {
  const value = parseJson(decode(bytes));
  // A list would pass for an object without members.
  if (Array.isArray(value))
    throw invalid([{ path: "", message: "expected an object, got a list" }]);
  return value;
}

/** Reads a JSON body; a missing optional one is an empty object. Throws INPUT_INVALID when it is not JSON. */
export async function readJson(request: IncomingMessage, optional: boolean): Promise<BodyResult> {
  if (!hasBody(request)) {
    if (optional) return { ok: true, value: {} };
    throw invalid([{ path: "", message: "a JSON body is required" }]);
  }
  if (!declaredWell(request)) return { ok: false, reply: notJson() };
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes) return tooLarge();
  const bytes = await readBytes(request);
  if (bytes === "too large") return tooLarge();
  if (bytes === null) return { ok: false, reply: problem(400, "the body ended early") };
  return { ok: true, value: parseBody(bytes) };
}
