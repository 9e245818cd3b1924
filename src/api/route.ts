import type { IncomingHttpHeaders } from "node:http";
import * as v from "valibot";
import { parseWith } from "../base/parse.ts";
import type { Redactor } from "../base/secret.ts";
import type { ActionPage } from "../core/action.ts";
import type { Language } from "../core/delivery.ts";
import type { Clock } from "../core/ports.ts";
import { invalid } from "./problem.ts";
import type { Reply } from "./reply.ts";
import type { AgentView } from "./ports.ts";

/**
 * What a request has to be allowed: nothing, to read, to change something; of a `link`, its own address is the right.
 */
export type Access = "probe" | "read" | "write" | "link";

/** What a handler may know of a request. */
export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON; an empty object where a body is optional and there was none. Of a form, `URLSearchParams`. */
  readonly body: unknown;
  /** Whether the client no longer waits for the answer. */
  gone(): boolean;
  /** The best of some media types for the client's `Accept`; the first when it has no opinion. */
  accepts(types: readonly string[]): string;
  /** The language the client prefers. */
  language(): Language;
}

/** One route as data; the server adds authentication, the body and errors. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** `:name` is a parameter. */
  readonly path: string;
  readonly access: Access;
  /** `form`: optional, `application/x-www-form-urlencoded`; the others are JSON: an object, with `any` a list too. */
  readonly body: "none" | "required" | "any" | "optional" | "form";
  /** What a JSON body may have; 64 KiB when it is not given. Few such bodies are read at a time. */
  readonly maxBytes?: number;
  /** How a body that cannot be read is refused; as a problem when it is not given. */
  readonly refuse?: (status: number, detail: string) => Reply;
  readonly handle: (call: Call) => Reply | Promise<Reply>;
}

/** What the handlers work with. */
export interface RouteDeps {
  readonly view: AgentView;
  readonly clock: Clock;
  readonly redactor: Redactor;
  readonly renderPage: (language: Language) => Promise<string>;
  /** The page of a link in a language, as HTML. */
  readonly renderAction: (page: ActionPage, language: Language) => string;
  /** Whether the server is about to stop. */
  readonly draining: () => boolean;
}

/** A route that only reads. */
export function get(path: string, handle: Route["handle"], access: Access = "read"): Route {
  return { method: "GET", path, access, body: "none", handle };
}

/** A checked input; throws INPUT_INVALID with every fault. */
export function checked<S extends v.GenericSchema>(schema: S, input: unknown): v.InferOutput<S> {
  const parsed = parseWith(schema, input);
  if (!parsed.ok) throw invalid(parsed.faults);
  return parsed.value;
}

/** A text of a foreign hand: not empty, at most so many characters, no control characters that would break a log. */
export function shortText(
  maxLength: number,
): v.SchemaWithPipe<
  readonly [
    v.StringSchema<string>,
    v.MinLengthAction<string, 1, string>,
    v.MaxLengthAction<string, number, string>,
    v.RegexAction<string, string>,
  ]
> {
  return v.pipe(
    v.string("expected a text"),
    v.minLength(1, "must not be empty"),
    v.maxLength(maxLength, `must not be longer than ${maxLength} characters`),
    v.regex(/^[^\p{Cc}]*$/u, "must not hold control characters"),
  );
}
