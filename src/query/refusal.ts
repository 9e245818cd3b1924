import type { IncomingMessage } from "node:http";
import * as v from "valibot";
import { readBody } from "../base/http.ts";
import { parseWith } from "../base/parse.ts";
import { oneLine } from "../base/text.ts";
import { AgentError, type Fault } from "../core/errors.ts";

/** The problems an agent answers with (RFC 9457). */
const problem = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    detail: v.string(),
    errors: v.optional(v.array(v.object({ path: v.string(), message: v.string() })), []),
  }),
);

/** A refusal is a few lines; a hundred faults that list every index are longer. */
const maxBytes = 1024 * 1024;

/** The options behind the names of the API. */
const optionOf: Readonly<Record<string, string>> = {
  indexes: "--index",
  start_time: "--start",
  end_time: "--end",
  step: "--step",
  aggregate: "--aggregate",
  node: "--node",
};

function asOption({ path, message }: Fault): Fault {
  const name = path.replace(/\[\d+\]$/, "");
  return { path: optionOf[name] ?? name, message: oneLine(message) };
}

const wantsToken =
  "wants a token: set server.token (SERVER_TOKEN, or SERVER_TOKEN_FILE) to that of the agent";

/** What another answer than a 200 means: INPUT_INVALID when the question was wrong, else HTTP_FAILED. */
export async function refusalOf(
  reply: IncomingMessage,
  { url, hadToken }: { readonly url: string; readonly hadToken: boolean },
): Promise<AgentError> {
  const status = reply.statusCode ?? 0;
  const parsed = parseWith(problem, await readBody(reply, maxBytes).catch(() => ""));
  const failed = (text: string): AgentError => new AgentError("HTTP_FAILED", `${url} ${text}`);
  if (!parsed.ok) return failed(`answers ${status} and is not an agent of TargetVPC`);
  const { detail, errors } = parsed.value;
  if (status === 401)
    return failed(hadToken ? "refuses the token of server.token (SERVER_TOKEN)" : wantsToken);
  if (errors.length === 0 || status >= 500) return failed(`answers: ${oneLine(detail)}`);
  return new AgentError("INPUT_INVALID", `${url} answers: ${oneLine(detail)}`, {
    faults: errors.map(asOption),
  });
}
