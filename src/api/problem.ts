import { STATUS_CODES } from "node:http";
import type { Redactor } from "../base/secret.ts";
import { truncateBytes } from "../base/text.ts";
import { AgentError, type ErrorCode, type Fault } from "../core/errors.ts";
import type { Reply } from "./reply.ts";

/** The media type of RFC 9457. */
export const problemType = "application/problem+json";

/** A body of 64 KiB can hold thousands of faults; nobody reads more than these. */
const maxFaults = 100;
/** A fault may quote what was sent; the longest of ours lists every index. */
const maxFaultBytes = 2_000;

/** Errors that say something about the request or the store; every other one is a fault of the agent. */
const statusOf: Readonly<Partial<Record<ErrorCode, number>>> = {
  INPUT_INVALID: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  STORE_UNAVAILABLE: 503,
};

/** An RFC 9457 problem; `errors` lists every fault and is empty when the status says it all. */
export function problem(
  status: number,
  detail: string,
  errors: readonly Fault[] = [],
  headers: Readonly<Record<string, string>> = {},
): Reply {
  const body = {
    type: "about:blank",
    title: STATUS_CODES[status] ?? "Error",
    status,
    detail: truncateBytes(detail, maxFaultBytes),
    errors: errors.slice(0, maxFaults).map(({ path, message }) => ({
      path: truncateBytes(path, maxFaultBytes),
      message: truncateBytes(message, maxFaultBytes),
    })),
  };
  return { status, type: problemType, headers, body: JSON.stringify(body) };
}

/** The problem an error means to the client; null for errors that are none of the client's business. */
export function problemOf(cause: unknown, redactor: Redactor): Reply | null {
  if (!(cause instanceof AgentError)) return null;
  const status = statusOf[cause.code];
  if (status === undefined) return null;
  const errors = cause.faults.map(({ path, message }) => ({
    path,
    message: redactor.redact(message),
  }));
  return problem(status, redactor.redact(cause.message), errors);
}

/** What a handler throws when a request is malformed. */
export function invalid(faults: readonly Fault[]): AgentError {
  return new AgentError("INPUT_INVALID", "the request is not valid", { faults });
}
