import http from "node:http";
import https from "node:https";
import { AgentError, codeOf, errorText } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import { deadline, untilAborted } from "../base/every.ts";
import { describeFailure, openRequest, readBody, serverMs } from "../base/http.ts";
import type { Access, Credentials } from "./credentials.ts";

export interface KubeRequest {
  readonly method: "GET" | "POST" | "PATCH";
  /** `/api/v1/…`, escaped. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** What kind of patch the body is. */
  readonly patch?: "merge" | "strategic-merge";
  readonly signal: AbortSignal;
}

/** A whole answer; any status is one. `body` is undefined when it is no JSON. */
export interface KubeReply {
  readonly status: number;
  readonly body: unknown;
}

/** The API server over one kept connection for requests and one for each watch. */
export interface KubeClient {
  /** Throws HTTP_FAILED when no whole answer arrives within ten seconds. */
  request(request: KubeRequest): Promise<KubeReply>;
  /** The lines of an answer that never ends by itself. Throws HTTP_FAILED when it cannot begin. */
  stream(request: Pick<KubeRequest, "path" | "query" | "signal">): Promise<KubeStream>;
  /** The API server's clock, where it differs from ours by more than a second; Unix milliseconds. */
  serverNowMs(): number;
  close(): void;
}

/** A stream that began, or the refusal that came instead. */
export type KubeStream =
  | { readonly ok: true; readonly chunks: AsyncIterable<Buffer> }
  | { readonly ok: false; readonly reply: KubeReply };

/** An API server that takes longer for one object is as good as down. */
const deadlineMs = 10_000;
/** A Node with hundreds of images has about 100 kB; nothing the agent reads has more than a few. */
const maxBytes = 8 * 1024 * 1024;
/** `Date` has whole seconds, cut off: less than this is no difference. */
const leastOffsetMs = 1_500;

const patchTypes = {
  merge: "application/merge-patch+json",
  "strategic-merge": "application/strategic-merge-patch+json",
} as const;

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function bodyOf({ body, patch }: KubeRequest): { text?: string; headers: Record<string, string> } {
  if (body === undefined) return { headers: {} };
  const type = patch === undefined ? "application/json" : patchTypes[patch];
  return { text: JSON.stringify(body), headers: { "Content-Type": type } };
}

/** A kept connection was closed by the server just as it was used again: nothing was wrong with the request. */
function wasStale(cause: unknown, signal: AbortSignal): boolean {
  const code = codeOf(cause);
  return !signal.aborted && (code === "ECONNRESET" || code === "EPIPE");
}

/** The credentials as they are now: a plugin of the kubeconfig that hangs must not hold up a request for ever. */
async function accessOf(credentials: Credentials, signal: AbortSignal): Promise<Access> {
  try {
    return await untilAborted(credentials.access(), signal);
  } catch (cause) {
    const why = `credentials: ${describeFailure(cause, signal)}`;
    throw new AgentError("HTTP_FAILED", why, { cause });
  }
}

/** Agents for one state of the TLS material; another one gets new ones. */
interface Agents {
  readonly fingerprint: string;
  readonly requests: http.Agent;
  readonly watches: http.Agent;
}

class Client implements KubeClient {
  readonly #load: () => Promise<Credentials>;
  readonly #clock: Clock;
  #credentials: Promise<Credentials> | null = null;
  /** Where the API server is; null: not known yet. */
  #address: string | null = null;
  #agents: Agents | null = null;
  #offsetMs = 0;

  constructor(load: () => Promise<Credentials>, clock: Clock) {
    this.#load = load;
    this.#clock = clock;
  }

  async request(request: KubeRequest): Promise<KubeReply> {
    const limit = deadline(this.#clock, deadlineMs, request.signal);
    try {
      const reply = await this.#exchange({ ...request, signal: limit.signal });
      if (reply.status !== 401) return reply;
      (await this.#loaded()).renew();
      return await this.#exchange({ ...request, signal: limit.signal });
    } catch (cause) {
      throw this.#failure(cause, limit.signal);
    } finally {
      limit.clear();
    }
  }

  async stream({
    path,
    query = {},
    signal,
  }: Pick<KubeRequest, "path" | "query" | "signal">): Promise<KubeStream> {
    const limit = deadline(this.#clock, deadlineMs, signal);
    const head = new AbortController();
    const giveUp = (): void => head.abort(limit.signal.reason);
    limit.signal.addEventListener("abort", giveUp, { once: true });
    try {
      const asked = { method: "GET" as const, path, query };
      const opened = await this.#open({ ...asked, signal: AbortSignal.any([head.signal, signal]) });
      if (opened.statusCode === 200) return { ok: true, chunks: opened };
      return { ok: false, reply: await this.#whole(opened) };
    } catch (cause) {
      throw this.#failure(cause, limit.signal);
    } finally {
      limit.signal.removeEventListener("abort", giveUp);
      limit.clear();
    }
  }

  serverNowMs(): number {
    return this.#clock.now() + (Math.abs(this.#offsetMs) < leastOffsetMs ? 0 : this.#offsetMs);
  }

  close(): void {
    this.#agents?.requests.destroy();
    this.#agents?.watches.destroy();
    this.#agents = null;
  }

  /** Loaded with the first request; what could not be loaded is tried again with the next. */
  #loaded(): Promise<Credentials> {
    this.#credentials ??= this.#load().catch((cause: unknown) => {
      this.#credentials = null;
      throw cause;
    });
    return this.#credentials;
  }

  async #exchange(request: KubeRequest): Promise<KubeReply> {
    try {
      return await this.#whole(await this.#open(request));
    } catch (cause) {
      if (!wasStale(cause, request.signal)) throw cause;
      return this.#whole(await this.#open(request));
    }
  }

  async #whole(reply: http.IncomingMessage): Promise<KubeReply> {
    return { status: reply.statusCode ?? 0, body: parse(await readBody(reply, maxBytes)) };
  }

  async #open(request: KubeRequest): Promise<http.IncomingMessage> {
    const credentials = await this.#loaded();
    this.#address = credentials.server;
    const access = await accessOf(credentials, request.signal);
    const url = new URL(credentials.server + request.path);
    const { requests, watches } = this.#agentsFor(access, url.protocol === "https:");
    for (const [name, value] of Object.entries(request.query ?? {}))
      url.searchParams.set(name, value);
    const { text, headers } = bodyOf(request);
    const reply = await openRequest(
      url,
      {
        method: request.method,
        agent: request.query?.["watch"] === undefined ? requests : watches,
        signal: request.signal,
        headers: {
          Accept: "application/json",
          "User-Agent": "targetvpc",
          ...access.headers,
          ...headers,
        },
      },
      text,
    );
    const itsMs = serverMs(reply.headers);
    if (itsMs !== null) this.#offsetMs = itsMs - this.#clock.now();
    return reply;
  }

  #agentsFor({ fingerprint, tls }: Access, secure: boolean): Agents {
    if (this.#agents?.fingerprint === fingerprint) return this.#agents;
    // Idle connections of the old material close by themselves; a watch on one goes on until it ends.
    const options = { ...tls, keepAlive: true, maxSockets: 1 };
    const agent = (): http.Agent => (secure ? new https.Agent(options) : new http.Agent(options));
    this.#agents?.requests.destroy();
    this.#agents = { fingerprint, requests: agent(), watches: agent() };
    return this.#agents;
  }

  #failure(cause: unknown, signal: AbortSignal): AgentError {
    const why = cause instanceof AgentError ? errorText(cause) : describeFailure(cause, signal);
    const where = this.#address === null ? "" : ` at ${this.#address}`;
    return new AgentError("HTTP_FAILED", `API server${where}: ${why}`, { cause });
  }
}

/** A client for the API server; it loads credentials and connects with the first request. */
export function createKubeClient(load: () => Promise<Credentials>, clock: Clock): KubeClient {
  return new Client(load, clock);
}
