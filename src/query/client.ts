import http from "node:http";
import https from "node:https";
import * as v from "valibot";
import { describeFailure, openRequest, readBody, serverMs } from "../base/http.ts";
import { parseWith } from "../base/parse.ts";
import type { Secret } from "../base/secret.ts";
import { AgentError, errorText } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import type { Aggregate } from "../core/series.ts";
import { readTable, type SeriesTable } from "./answer.ts";
import type { Span } from "./question.ts";
import { refusalOf } from "./refusal.ts";

/** An agent that sends nothing for so long hangs; it cuts off a silent client after the same time. */
const silentMs = 60_000;

const howToMend =
  "Start it (targetvpc serve), or say where it is: --url http://host:port, or server.host and server.port (SERVER_HOST, SERVER_PORT)";

/** A question for the series of one node. */
export interface SeriesAsk extends Span {
  /** A name or `cluster/name`. */
  readonly node: string;
  /** Null: those the agent answers by itself. */
  readonly indexes: readonly string[] | null;
  /** Null: every sample. */
  readonly stepMs: number | null;
  readonly aggregate: Aggregate;
}

/** A running agent, by its REST API. */
export interface AgentClient {
  /** What a GET answers, and the agent's clock, Unix milliseconds in whole seconds; null: it says no time. */
  get<S extends v.GenericSchema>(
    path: string,
    schema: S,
  ): Promise<{ readonly value: v.InferOutput<S>; readonly nowMs: number | null }>;
  /** The series of one node, as they arrive. */
  series(ask: SeriesAsk): Promise<SeriesTable>;
  close(): void;
}

interface Request {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Gives up on what has no answer in time; the body of an answer has a watch of its own. */
async function inTime<T>(clock: Clock, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [late, done] = [new AbortController(), new AbortController()];
  void clock.sleep(silentMs, done.signal).then(() => {
    if (!done.signal.aborted) late.abort(new Error(`no answer within ${silentMs / 1_000} s`));
  });
  try {
    return await work(late.signal);
  } catch (cause) {
    throw new AgentError("HTTP_FAILED", describeFailure(cause, late.signal), { cause });
  } finally {
    done.abort();
  }
}

function bodyOf({ node, indexes, fromMs, toMs, stepMs, aggregate }: SeriesAsk): string {
  return JSON.stringify({
    node,
    start_time: fromMs / 1_000,
    end_time: toMs / 1_000,
    ...(indexes === null ? {} : { indexes }),
    ...(stepMs === null ? {} : { step: stepMs / 1_000, aggregate }),
  });
}

/** Puts the node's name to faults that do not say it. */
function naming(node: string): (cause: unknown) => never {
  return (cause) => {
    if (!(cause instanceof AgentError)) throw cause;
    const faults = cause.faults.map(({ path, message }) => ({
      path,
      message: path === "--node" ? `${JSON.stringify(node)}: ${message}` : message,
    }));
    throw new AgentError(cause.code, cause.message, { faults, cause });
  };
}

export interface ClientDeps {
  /** Without a slash at its end. */
  readonly url: string;
  /** Sent only to an agent that asks for it. */
  readonly token: Secret | null;
  readonly clock: Clock;
}

interface Connection {
  /** The beginning of an answer that is a 200. */
  open(request: Request): Promise<http.IncomingMessage>;
  close(): void;
}

function createConnection({ url, token, clock }: ClientDeps): Connection {
  const agent = new (url.startsWith("https:") ? https : http).Agent({ keepAlive: true });
  let proof: Readonly<Record<string, string>> = {};
  const send = async ({ path, method, body, ...request }: Request): Promise<http.IncomingMessage> =>
    inTime(clock, (signal) => {
      const headers = { ...request.headers, ...proof };
      return openRequest(new URL(url + path), { method, agent, signal, headers }, body);
    }).catch((cause: unknown) => {
      throw new AgentError(
        "HTTP_FAILED",
        `no agent answers at ${url}: ${errorText(cause)}\n${howToMend}`,
        { cause },
      );
    });
  return {
    open: async (request) => {
      let reply = await send(request);
      if (reply.statusCode === 401 && token !== null) {
        reply.resume();
        proof = { Authorization: `Bearer ${token.reveal()}` };
        reply = await send(request);
      }
      const silence = new Error(`silent for ${silentMs / 1_000} s`);
      reply.setTimeout(silentMs, () => reply.destroy(silence));
      if (reply.statusCode === 200) return reply;
      throw await refusalOf(reply, { url, hadToken: token !== null });
    },
    close: () => agent.destroy(),
  };
}

/**
 * Talks to one agent. Rejects with HTTP_FAILED when it does not answer, or not as an agent does, and INPUT_INVALID when
 * it refuses what was asked for.
 */
export function createAgentClient(deps: ClientDeps): AgentClient {
  const { url } = deps;
  const connection = createConnection(deps);
  return {
    get: async (path, schema) => {
      const reply = await connection.open({ method: "GET", path });
      const text = await readBody(reply).catch((cause: unknown) => {
        throw new AgentError("HTTP_FAILED", `the answer of ${url} broke off: ${errorText(cause)}`);
      });
      const parsed = parseWith(v.pipe(v.string(), v.parseJson(), schema), text);
      if (!parsed.ok) throw new AgentError("HTTP_FAILED", `${url} is not an agent of TargetVPC`);
      return { value: parsed.value, nowMs: serverMs(reply.headers) };
    },
    series: async (ask) => {
      const headers = { "Content-Type": "application/json", Accept: "text/csv" };
      const request = { method: "POST", path: "/api/metrics", headers, body: bodyOf(ask) } as const;
      return readTable(await connection.open(request).catch(naming(ask.node)), url);
    },
    close: () => connection.close(),
  };
}
