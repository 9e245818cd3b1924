import type { HttpReply } from "../base/http.ts";
import { kindOf } from "../base/parse.ts";
import { truncateBytes } from "../base/text.ts";
import type { Fault } from "../core/errors.ts";
import { formNames } from "./forms.ts";
import {
  isObject,
  isSuccessCode,
  parseJson,
  retryAfterMs,
  serverCode,
  serverWords,
} from "./request.ts";

/** What an answer of the configuration endpoint is: a policy to be checked, nothing new, or a reason why not. */
export type Reading =
  | {
      readonly kind: "policy";
      readonly policy: Readonly<Record<string, unknown>>;
      /** Where the policy stands inside the answer: `data`, or empty. */
      readonly base: string;
    }
  | { readonly kind: "unchanged" }
  | { readonly kind: "unregistered"; readonly reason: string }
  /** It said 200, but what came is no configuration. */
  | { readonly kind: "unreadable"; readonly reason: string }
  | { readonly kind: "invalid"; readonly faults: readonly Fault[] }
  | { readonly kind: "failed"; readonly reason: string; readonly retryAfterMs?: number };

/** What was asked, as far as it changes how the answer reads. */
export interface Question {
  readonly nowMs: number;
  /** The address the agent asked for. */
  readonly ip: string;
  readonly withToken: boolean;
  readonly withEtag: boolean;
}

/** Members of a wrapper that say nothing about the policy. */
const wrapperNames = ["code", "message", "msg", "success", "status", "request_id", "timestamp"];

function quoted(text: string): string {
  return JSON.stringify(truncateBytes(text, 60));
}

function words(body: string): string {
  const said = serverWords(parseJson(body));
  return said === "" ? "" : `: ${said}`;
}

function unwrap(answer: Readonly<Record<string, unknown>>): Reading {
  const bare = formNames.some((name) => name in answer);
  if ("data" in answer && !bare) {
    const { data } = answer;
    if (isObject(data)) return { kind: "policy", policy: data, base: "data" };
    const fault = { path: "data", message: `expected an object, got ${kindOf(data)}` };
    return { kind: "invalid", faults: [fault] };
  }
  const policy = Object.fromEntries(
    Object.entries(answer).filter(([name]) => !wrapperNames.includes(name)),
  );
  const said = Object.keys(answer).length > 0;
  if (said && Object.keys(policy).length === 0) {
    const fault = { path: "", message: "expected data, or metrics and alerts" };
    return { kind: "invalid", faults: [fault] };
  }
  return { kind: "policy", policy, base: "" };
}

/** Reads the text of an answer: `{"code":0,"data":…}`, `{"data":…}` or the policy itself. */
export function readBody(body: string): Reading {
  if (body.trim() === "") return { kind: "unreadable", reason: "the answer is empty" };
  const answer = parseJson(body);
  if (answer === undefined)
    return { kind: "unreadable", reason: `the answer is not JSON (${body.length} characters)` };
  if (!isObject(answer)) {
    const fault = { path: "", message: `expected an object, got ${kindOf(answer)}` };
    return { kind: "invalid", faults: [fault] };
  }
  const code = serverCode(answer);
  if (!isSuccessCode(code) || answer["success"] === false) {
    const shown = code === undefined ? "success false" : `code ${code}`;
    const said = serverWords(answer) || "no explanation";
    return { kind: "unreadable", reason: `the server answered ${shown}: ${said}` };
  }
  return unwrap(answer);
}

/** Why a 200 cannot be a configuration, by what it says about itself; undefined when it can. */
function misfit({ headers, body }: HttpReply): string | undefined {
  const encoding = headers["content-encoding"] ?? "identity";
  if (encoding !== "identity") return `the answer is compressed (${quoted(encoding)}), unasked`;
  const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (/^\s*<(?:!doctype|html|head|body)\b/i.test(body))
    return "the answer is an HTML page instead of JSON (a login page, or another server?)";
  if (type === "" || type === "text/plain" || /^[\w.-]+\/(?:[\w.-]+\+)?json$/.test(type))
    return undefined;
  return `the answer has content type ${quoted(type)}, expected application/json`;
}

/** The address a redirect points to, without what may be secret in it. */
function target(location: string | undefined): string {
  if (location === undefined || location === "") return "nowhere";
  if (!URL.canParse(location)) return quoted(location.split(/[?#]/)[0] ?? "");
  const { origin, pathname } = new URL(location);
  return quoted(origin + pathname);
}

function readFailure({ status, headers, body }: HttpReply, question: Question): Reading {
  const failed = (reason: string): Reading => {
    const wait = retryAfterMs(headers, question.nowMs);
    const shown = `http ${status}, ${reason}${words(body)}`;
    return { kind: "failed", reason: shown, ...(wait === undefined ? {} : { retryAfterMs: wait }) };
  };
  if (status >= 300 && status < 400)
    return failed(
      `redirects to ${target(headers.location)}; redirects are not followed, put the final address into admin.base_url`,
    );
  if (status === 401 || status === 403)
    return failed(
      question.withToken ? "admin.token is not accepted" : "a token is needed, set admin.token",
    );
  if (status === 429) return failed("too many requests");
  return failed(status >= 500 ? "the server failed" : "unexpected");
}

/** Reads what the configuration endpoint answered. */
export function readReply(reply: HttpReply, question: Question): Reading {
  const { status } = reply;
  if (status === 200) {
    const reason = misfit(reply);
    return reason === undefined ? readBody(reply.body) : { kind: "unreadable", reason };
  }
  if (status === 304 && question.withEtag) return { kind: "unchanged" };
  if (status === 304) return { kind: "failed", reason: "http 304, though no version was named" };
  if (status === 404) {
    const reason = `http 404, not registered: the server knows no node ${question.ip} (or admin.config_endpoint is wrong)`;
    return { kind: "unregistered", reason: reason + words(reply.body) };
  }
  return readFailure(reply, question);
}
