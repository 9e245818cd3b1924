import { createServer, type Server } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Router } from "@koa/router";
import Koa from "koa";
import type { Redactor } from "../base/secret.ts";
import type { Language } from "../core/delivery.ts";
import type { Clock, Log } from "../core/ports.ts";
import { refusal } from "./auth.ts";
import { type BodyResult, readForm, readJson } from "./body.ts";
import { closeGracefully, listen, type Listening } from "./listen.ts";
import type { AgentView, ApiSettings } from "./ports.ts";
import { problem, problemOf } from "./problem.ts";
import type { Reply } from "./reply.ts";
import type { Route, RouteDeps } from "./route.ts";
import { actionsRoutes } from "./routes/actions.ts";
import { alertRoutes } from "./routes/alert.ts";
import { alertmanagerRoutes } from "./routes/alertmanager.ts";
import { alertsRoutes } from "./routes/alerts.ts";
import { channelsRoutes } from "./routes/channels.ts";
import { configRoutes } from "./routes/config.ts";
import { deliveriesRoutes } from "./routes/deliveries.ts";
import { healthRoutes } from "./routes/health.ts";
import { indexesRoutes } from "./routes/indexes.ts";
import { metricsRoutes } from "./routes/metrics.ts";
import { nodesRoutes } from "./routes/nodes.ts";
import { pagesRoutes } from "./routes/pages.ts";
import { prometheusRoutes } from "./routes/prometheus.ts";
import { rulesRoutes } from "./routes/rules.ts";
import { historyRoutes } from "./routes/history.ts";
import { silencesRoutes } from "./routes/silences.ts";
import { answerBelow, safeHeaders } from "./wire.ts";

/** How long a client may take, in milliseconds. */
export interface ServerTimeouts {
  /** For the headers of a request. */
  readonly headersMs: number;
  /** For a whole request. */
  readonly requestMs: number;
}

export interface ApiDeps {
  readonly view: AgentView;
  readonly settings: ApiSettings;
  readonly clock: Clock;
  readonly log: Log;
  readonly redactor: Redactor;
  /** The status page in a language, as HTML. */
  readonly renderPage: (language: Language) => Promise<string>;
  /** The page of a link in a language, as HTML. */
  readonly renderAction: RouteDeps["renderAction"];
  readonly timeouts?: ServerTimeouts;
}

/** The agent's HTTP side. */
export interface Api {
  /** Opens the port. Throws CONFIG_INVALID when it cannot be had. */
  start(): Promise<Listening>;
  /** Lets requests in flight finish, within two seconds; stopping twice is harmless. */
  stop(): Promise<void>;
}

/** A client of an agent sends a few hundred bytes; who takes longer is broken or holds connections on purpose. */
const defaultTimeouts: ServerTimeouts = { headersMs: 10_000, requestMs: 30_000 };
/** A connection on which nothing moves, also one whose client does not read its answer. */
const silentMs = 60_000;
/** Some ten kilobytes each: what is beyond would be the memory of an agent. */
const maxConnections = 1_000;

/** Bodies of more than 64 KiB that are read at once: a thousand connections must not bring a MiB each. */
const maxLargeBodies = 8;

interface RequestState {
  reply?: Reply;
}
type ApiRouter = Router<RequestState>;
type Context = Koa.ParameterizedContext<RequestState>;

export function allRoutes(deps: RouteDeps): Route[] {
  return [
    healthRoutes,
    configRoutes,
    metricsRoutes,
    alertRoutes,
    alertmanagerRoutes,
    alertsRoutes,
    indexesRoutes,
    nodesRoutes,
    rulesRoutes,
    channelsRoutes,
    historyRoutes,
    silencesRoutes,
    deliveriesRoutes,
    prometheusRoutes,
    actionsRoutes,
    pagesRoutes,
  ].flatMap((routes) => routes(deps));
}

/** Whether every percent sign of the address means a character. */
function isWellFormed(ctx: Context): boolean {
  try {
    decodeURIComponent(ctx.path);
    decodeURIComponent(ctx.querystring);
    return true;
  } catch {
    return false;
  }
}

/** What is wrong with a request before any route looks at it. */
function malformed(ctx: Context): Reply | null {
  if (ctx.req.httpVersion === "1.1" && ctx.req.headers.host === undefined)
    return problem(400, "a Host header is required");
  return isWellFormed(ctx) ? null : problem(400, "the address is not well-formed");
}

/** A path as a log may have it: that of a link is the right to what it does. */
function shownPath(path: string): string {
  return path.replace(/^(\/actions\/).+/, "$1***");
}

type ReadBody = (route: Route, ctx: Context) => Promise<BodyResult>;

async function readBody(route: Route, { req }: Context): Promise<BodyResult> {
  if (route.body === "none") return { ok: true, value: {} };
  return route.body === "form"
    ? readForm(req, route.refuse)
    : readJson(req, { shape: route.body, maxBytes: route.maxBytes });
}

/** Reads bodies, but only some large ones at a time; who comes too early is asked to come again. */
function createReadBody(): ReadBody {
  let large = 0;
  return async (route, ctx) => {
    if (route.maxBytes === undefined) return readBody(route, ctx);
    if (large >= maxLargeBodies) {
      const detail = `at most ${maxLargeBodies} such requests are read at a time; send it again in a second`;
      return { ok: false, reply: problem(429, detail, [], { "Retry-After": "1" }) };
    }
    large += 1;
    try {
      return await readBody(route, ctx);
    } finally {
      large -= 1;
    }
  };
}

async function runRoute(
  route: Route,
  ctx: Context,
  params: Readonly<Record<string, string>>,
  { settings, read }: { readonly settings: ApiSettings; readonly read: ReadBody },
): Promise<Reply> {
  const { headers, socket } = ctx.req;
  const { access } = route;
  const refused = refusal({ access, headers, remoteAddress: socket.remoteAddress ?? "" }, settings);
  if (refused !== null) return refused;
  const body = await read(route, ctx);
  if (!body.ok) return body.reply;
  return route.handle({
    params,
    query: new URLSearchParams(ctx.querystring),
    headers,
    body: body.value,
    gone: () => socket.destroyed,
    accepts: (types) => ctx.accepts([...types]) || (types[0] ?? ""),
    language: () =>
      (ctx.acceptsLanguages(["en", "zh-CN", "zh"]) || "en") === "en" ? "en" : "zh-CN",
  });
}

/** The answer to a path or a method that no route has. */
function missing(router: ApiRouter, ctx: Context): Reply {
  const methods = new Set(
    router.match(ctx.path, ctx.method).path.flatMap((layer) => layer.methods),
  );
  if (methods.size === 0) return problem(404, "there is nothing at this path");
  const allowed = [...methods].sort().join(", ");
  return problem(405, `this path takes ${allowed}`, [], { Allow: allowed });
}

/** Puts an answer on the wire; a long one goes out part by part, as fast as the client reads. */
async function send(ctx: Context, reply: Reply, draining: boolean): Promise<void> {
  ctx.status = reply.status;
  ctx.set({ ...safeHeaders, ...reply.headers, "Content-Type": reply.type });
  // What was not read of a request would be taken for the next one.
  if (draining || !ctx.req.complete) ctx.set("Connection", "close");
  if (typeof reply.body === "string") {
    ctx.body = reply.body;
    return;
  }
  ctx.respond = false;
  if (ctx.method === "HEAD") ctx.res.end();
  else await pipeline(Readable.from(reply.body), ctx.res);
}

function createApp(deps: ApiDeps, draining: () => boolean): Koa<RequestState> {
  const { settings, log, redactor } = deps;
  const how = { settings, read: createReadBody() };
  const router: ApiRouter = new Router<RequestState>({ sensitive: true });
  for (const route of allRoutes({ ...deps, draining }))
    router.register(route.path, [route.method], async (ctx) => {
      ctx.state.reply = await runRoute(route, ctx, ctx.params, how);
    });
  const failed = (cause: unknown, ctx: Context): Reply => {
    const known = problemOf(cause, redactor);
    if (known === null)
      log.error("request failed", { method: ctx.method, path: shownPath(ctx.path), cause });
    return known ?? problem(500, "the agent failed to answer; its log says why");
  };
  const app = new Koa<RequestState>();
  app.on("error", (cause: unknown) => log.debug("answer cut short", { cause }));
  app.use(async (ctx, next) => {
    const begin = async (): Promise<Reply> => {
      const bad = malformed(ctx);
      if (bad !== null) return bad;
      await next();
      return ctx.state.reply ?? missing(router, ctx);
    };
    await send(ctx, await begin().catch((cause: unknown) => failed(cause, ctx)), draining());
  });
  app.use(router.routes());
  return app;
}

function createHttpServer(app: Koa<RequestState>, timeouts: ServerTimeouts): Server {
  const handle = app.callback();
  const server = createServer(
    {
      headersTimeout: timeouts.headersMs,
      requestTimeout: timeouts.requestMs,
      // Node looks only so often whether a time is over.
      connectionsCheckingInterval: Math.min(1_000, timeouts.headersMs),
      // Node's own refusal has no body; ours has.
      requireHostHeader: false,
    },
    (request, response) => void handle(request, response),
  );
  server.setTimeout(silentMs);
  server.maxConnections = maxConnections;
  answerBelow(server);
  return server;
}

/** Builds the API; nothing is opened before `start`. */
export function createApi(deps: ApiDeps): Api {
  let draining = false;
  let stopped: Promise<void> | undefined;
  const app = createApp(deps, () => draining);
  const server = createHttpServer(app, deps.timeouts ?? defaultTimeouts);
  server.on("request", (_, response) => {
    // A connection that becomes idle while draining is closed instead of waiting for its client.
    response.once("close", () => {
      if (draining) server.closeIdleConnections();
    });
  });
  return {
    start: () => listen(server, deps.settings),
    stop: () => {
      draining = true;
      stopped ??= closeGracefully(server, deps.clock);
      return stopped;
    },
  };
}
