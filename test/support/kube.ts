import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { rights, type Right } from "../../src/kubernetes/rights.ts";
import { eventFaults, immutableFaults, timeFault, type Cause } from "./kube-events.ts";
import { makeTls, type TlsFiles } from "./tls.ts";

export type Json = Readonly<Record<string, unknown>>;

/** A request as it came in. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly token: string;
  readonly body: string;
}

export interface KubeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly labels?: Readonly<Record<string, string>>;
  };
  readonly [key: string]: unknown;
}

interface Change {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: KubeObject;
}

interface WatchConnection {
  readonly reply: ServerResponse;
  readonly namespace: string;
  readonly name: string | null;
  readonly bookmarks: boolean;
  readonly timer: NodeJS.Timeout;
}

interface Target {
  readonly verb: string;
  readonly group: string;
  /** With its subresource: `nodes/status`. */
  readonly resource: string;
  readonly namespace: string | null;
  /** Of the path, or of a field selector for one object. */
  readonly name: string | null;
}

/** The namespace of the agent under test, and the name of its ConfigMap. */
export const agentNamespace = "monitoring";
export const configMapName = "targetvpc";
/** A token that may do everything the agent has a use for. */
export const fullToken = "token-of-the-agent";

class Refused extends Error {
  readonly code: number;
  readonly reason: string;
  readonly details: Json;

  constructor(code: number, reason: string, message: string, details: Json = {}) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
  }

  get status(): Json {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      reason: this.reason,
      details: this.details,
      code: this.code,
    };
  }
}

function tooOld(): Refused {
  return new Refused(410, "Expired", "too old resource version: 1 (2)");
}

function invalidEvent(name: string, causes: readonly Cause[]): Refused {
  const told = causes.map(({ field, message }) => `${field}: ${message}`);
  const list = told.length === 1 ? told[0] : `[${told.join(", ")}]`;
  const details = { name, kind: "Event", causes };
  return new Refused(422, "Invalid", `Event "${name}" is invalid: ${list}`, details);
}

function parseObject(body: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** RFC 7386. */
function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const plain = typeof target === "object" && target !== null && !Array.isArray(target);
  const merged: Record<string, unknown> = plain ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key];
    else merged[key] = mergePatch(merged[key], value);
  }
  return merged;
}

export interface NodeConditionJson {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly lastHeartbeatTime: string;
  readonly lastTransitionTime: string;
}

/** The one strategic merge the agent uses: conditions, by their type. */
function mergeConditions(
  before: readonly NodeConditionJson[],
  patch: readonly (Partial<NodeConditionJson> & { readonly $patch?: string })[],
): readonly NodeConditionJson[] {
  const merged = new Map(before.map((condition) => [condition.type, condition]));
  for (const { $patch, ...condition } of patch) {
    const type = condition.type ?? "";
    if ($patch === "delete") merged.delete(type);
    else merged.set(type, { ...merged.get(type), ...condition } as NodeConditionJson);
  }
  return [...merged.values()];
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

const verbs: Readonly<Record<string, string>> = { POST: "create", PATCH: "patch", PUT: "update" };
const pathForm =
  /^\/(?:api\/v1|apis\/([^/]+)\/v1)(?:\/namespaces\/([^/]+))?\/(configmaps|nodes|events)(?:\/([^/]+))?(?:\/(status))?$/;

function targetOf({ method, path, query }: Asked): Target {
  const found = pathForm.exec(path);
  if (found === null)
    throw new Refused(404, "NotFound", "the server could not find the requested resource");
  const [, group = "", namespace, resource = "", name, sub] = found.map((part) =>
    part === undefined ? undefined : decodeURIComponent(part),
  );
  const selected = /^metadata\.name=(.+)$/.exec(query["fieldSelector"] ?? "")?.[1];
  const reading = query["watch"] === "true" ? "watch" : name === undefined ? "list" : "get";
  return {
    verb: verbs[method] ?? reading,
    group,
    resource: sub === undefined ? resource : `${resource}/${sub}`,
    namespace: namespace ?? null,
    // The API server takes the name of a selector for one object as the name in the request's attributes.
    name: name ?? (method === "GET" ? selected : undefined) ?? null,
  };
}

function covers(right: Right, target: Target): boolean {
  const namespaces = { namespaced: agentNamespace, default: "default", cluster: null };
  const names = { configmap: configMapName, node: target.name };
  return (
    right.verbs.includes(target.verb) &&
    right.group === target.group &&
    right.resource === target.resource &&
    namespaces[right.scope] === target.namespace &&
    (right.name === null || names[right.name] === target.name)
  );
}

/** Answers a request in another way than the server would. */
export type Answer = (reply: ServerResponse, request: IncomingMessage) => void;

let sharedTls: TlsFiles | null = null;

/**
 * As much of a Kubernetes API server as the agent uses, over TLS: its rights, refusals and wording are those of a real
 * one. What happens to API servers (restarts, compaction, silence) happens when a test says so.
 */
export class KubeServer {
  /** Every request that came in, in order. */
  readonly asked: Asked[] = [];
  /** TLS connections that were made so far. */
  connections = 0;
  /** The clock of its `Date`. */
  now: () => number = Date.now;
  #tls: TlsFiles;
  #server: https.Server | null = null;
  #port = 0;
  #version = 100;
  #compactedTo = 0;
  #expiryAs: "status" | "event" = "event";
  #thawed = Promise.resolve();
  #thaw: () => void = () => {};
  readonly #rights = new Map<string, Set<Right>>([[fullToken, new Set(Object.values(rights))]]);
  readonly #configMaps = new Map<string, KubeObject>();
  readonly #nodes = new Map<string, KubeObject>();
  readonly #events = new Map<string, KubeObject>();
  readonly #history: Change[] = [];
  readonly #watches = new Set<WatchConnection>();
  readonly #sockets = new Set<TLSSocket>();
  readonly #answers: { readonly fits: (asked: Asked) => boolean; readonly answer: Answer }[] = [];

  constructor(tls: TlsFiles) {
    this.#tls = tls;
  }

  get port(): number {
    return this.#port;
  }

  get url(): string {
    return `https://127.0.0.1:${this.#port}`;
  }

  get ca(): string {
    return this.#tls.ca;
  }

  /** A kubeconfig for it; JSON is YAML. */
  kubeconfig(user: Json = { token: fullToken }): string {
    const ca = Buffer.from(this.ca).toString("base64");
    return JSON.stringify({
      apiVersion: "v1",
      kind: "Config",
      clusters: [{ name: "test", cluster: { server: this.url, "certificate-authority-data": ca } }],
      users: [{ name: "agent", user }],
      contexts: [{ name: "test", context: { cluster: "test", user: "agent" } }],
      "current-context": "test",
    });
  }

  /** Starts it again on its port, with another certificate if given. */
  async start(tls: TlsFiles = this.#tls): Promise<void> {
    this.#tls = tls;
    this.#server = https.createServer({ cert: tls.cert, key: tls.key }, (request, reply) => {
      void this.#handle(request, reply).catch(() => request.socket.destroy());
    });
    this.#server.keepAliveTimeout = 600_000;
    this.#server.on("secureConnection", (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {
        // Cut on purpose, here or there.
      });
    });
    this.#server.listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as AddressInfo).port; // proof: it listens on a port
  }

  /** Dies at once, as by `kill -9`; objects stay. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    this.thaw();
    if (server === null) return;
    const closed = once(server, "close");
    server.close();
    this.cut();
    await closed;
  }

  /** Takes connections and requests, and answers nothing until it is thawed. */
  freeze(): void {
    this.#thawed = new Promise((resolve) => {
      this.#thaw = resolve;
    });
  }

  thaw(): void {
    this.#thaw();
  }

  /** Gives a token rights beyond those it has. */
  allow(token: string, ...more: readonly Right[]): void {
    const has = this.#rights.get(token) ?? new Set();
    for (const right of more) has.add(right);
    this.#rights.set(token, has);
  }

  deny(token: string, ...less: readonly Right[]): void {
    for (const right of less) this.#rights.get(token)?.delete(right);
  }

  /** Forgets a token: 401 from now on. */
  expire(token: string): void {
    this.#rights.delete(token);
  }

  /** The next request that fits is answered so. */
  answerOnce(answer: Answer, fits: (asked: Asked) => boolean = () => true): void {
    this.#answers.push({ fits, answer });
  }

  /** Makes or changes a ConfigMap. */
  setConfigMap(
    data: Readonly<Record<string, string>>,
    { name = configMapName, namespace = agentNamespace } = {},
  ): KubeObject {
    const key = `${namespace}/${name}`;
    const before = this.#configMaps.get(key);
    const uid = before?.metadata.uid ?? randomUUID();
    const object = {
      kind: "ConfigMap",
      apiVersion: "v1",
      metadata: { name, namespace, uid, resourceVersion: String(++this.#version) },
      data,
    };
    this.#configMaps.set(key, object);
    this.#changed(before === undefined ? "ADDED" : "MODIFIED", object);
    return object;
  }

  deleteConfigMap(name = configMapName, namespace = agentNamespace): void {
    const key = `${namespace}/${name}`;
    const before = this.#configMaps.get(key);
    if (before === undefined) return;
    this.#configMaps.delete(key);
    const resourceVersion = String(++this.#version);
    this.#changed("DELETED", { ...before, metadata: { ...before.metadata, resourceVersion } });
  }

  /** Makes a Node, or another one of that name: it has a new UID. */
  setNode(
    name: string,
    { labels = {}, taints }: { labels?: Record<string, string>; taints?: unknown[] } = {},
  ): KubeObject {
    const node = {
      kind: "Node",
      apiVersion: "v1",
      metadata: { name, uid: randomUUID(), resourceVersion: String(++this.#version), labels },
      spec: taints === undefined ? {} : { taints },
      status: { conditions: [] },
    };
    this.#nodes.set(name, node);
    return node;
  }

  /** Changes labels and taints of a Node. */
  changeNode(name: string, spec: { labels?: Record<string, string>; taints?: unknown[] }): void {
    const { labels = {}, taints = [] } = spec;
    const before = this.#nodes.get(name);
    if (before === undefined) throw new Error(`no node ${name}`);
    const metadata = { ...before.metadata, labels, resourceVersion: String(++this.#version) };
    this.#nodes.set(name, { ...before, metadata, spec: { taints } });
  }

  deleteNode(name: string): void {
    this.#nodes.delete(name);
  }

  conditions(name: string): readonly NodeConditionJson[] {
    const status = this.#nodes.get(name)?.["status"] as
      { conditions: readonly NodeConditionJson[] } | undefined;
    return status?.conditions ?? [];
  }

  events(namespace?: string): readonly KubeObject[] {
    return [...this.#events.values()].filter(
      ({ metadata }) => namespace === undefined || metadata.namespace === namespace,
    );
  }

  /** As after an hour, when events expire. */
  dropEvents(): void {
    this.#events.clear();
  }

  get watching(): number {
    return this.#watches.size;
  }

  /** Older versions cannot be watched from any more: told by HTTP status or inside a watch; running watches hear it. */
  compact(as: "status" | "event"): void {
    this.#compactedTo = ++this.#version;
    this.#expiryAs = as;
    for (const { reply } of this.#watches) {
      reply.write(line("ERROR", tooOld().status));
      reply.end();
    }
    this.#watches.clear();
  }

  bookmark(): void {
    for (const watch of this.#watches) this.#sendBookmark(watch);
  }

  /** Ends watches in good order, as after `timeoutSeconds`. */
  endWatches(): void {
    for (const watch of this.#watches) this.#endWatch(watch);
  }

  /** Raw bytes into every watch. */
  writeToWatches(bytes: string | Buffer): void {
    for (const { reply } of this.#watches) reply.write(bytes);
  }

  /** Cuts the connections of watches. */
  cutWatches(): void {
    for (const { reply } of this.#watches) reply.socket?.destroy();
  }

  /** Connections of watches stay and carry nothing; new ones are not affected. */
  silenceWatches(): void {
    this.#watches.clear();
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #changed(type: Change["type"], object: KubeObject): void {
    this.#history.push({ version: this.#version, type, object });
    for (const watch of this.#watches)
      if (sees(watch, object)) watch.reply.write(line(type, object));
  }

  async #handle(request: IncomingMessage, reply: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.url);
    const asked: Asked = {
      method: request.method ?? "",
      path: url.pathname,
      query: Object.fromEntries(url.searchParams),
      token: (request.headers.authorization ?? "").replace(/^Bearer /, ""),
      body: await readText(request),
    };
    this.asked.push(asked);
    await this.#thawed;
    // Whoever asked has given up meanwhile.
    if (reply.destroyed) return;
    reply.sendDate = false;
    reply.setHeader("Date", new Date(this.now()).toUTCString());
    reply.setHeader("Content-Type", "application/json");
    const at = this.#answers.findIndex(({ fits }) => fits(asked));
    if (at >= 0) return this.#answers.splice(at, 1)[0]?.answer(reply, request);
    try {
      this.#serve(asked, request.headers["content-type"] ?? "", reply);
    } catch (cause) {
      if (!(cause instanceof Refused)) throw cause;
      reply.writeHead(cause.code).end(JSON.stringify(cause.status));
    }
  }

  #serve(asked: Asked, contentType: string, reply: ServerResponse): void {
    const target = targetOf(asked);
    this.#authorize(asked.token, target);
    const send = (code: number, body: unknown): void =>
      void reply.writeHead(code).end(JSON.stringify(body));
    switch (`${target.verb} ${target.resource}`) {
      case "list configmaps":
        return send(200, this.#list(target));
      case "watch configmaps":
        return this.#watch(target, asked.query, reply);
      case "get configmaps":
        return send(200, found(this.#configMaps, `${target.namespace}/${target.name}`, target));
      case "get nodes":
        return send(200, found(this.#nodes, target.name ?? "", target));
      case "patch nodes/status":
        return send(200, this.#patchNodeStatus(target, asked.body, contentType));
      case "create events":
        return send(201, this.#createEvent(target, asked.body, contentType));
      case "patch events":
        return send(200, this.#patchEvent(target, asked.body, contentType));
      default:
        throw new Refused(405, "MethodNotAllowed", "the server does not allow this method");
    }
  }

  #authorize(token: string, target: Target): void {
    const has = this.#rights.get(token);
    if (has === undefined) throw new Refused(401, "Unauthorized", "Unauthorized");
    if ([...has].some((right) => covers(right, target))) return;
    const { verb, group, resource, namespace, name } = target;
    const kind = group === "" ? resource : `${resource}.${group}`;
    const what = `${kind.replace("/status", "")}${name === null ? "" : ` "${name}"`}`;
    const where = namespace === null ? "at the cluster scope" : `in the namespace "${namespace}"`;
    throw new Refused(
      403,
      "Forbidden",
      `${what} is forbidden: User "system:serviceaccount:${agentNamespace}:agent" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`,
      { kind: resource, ...(name === null ? {} : { name }) },
    );
  }

  #list({ namespace, name }: Target): Json {
    const items = [...this.#configMaps.values()].filter(
      ({ metadata }) =>
        metadata.namespace === namespace && (name === null || metadata.name === name),
    );
    return {
      kind: "ConfigMapList",
      apiVersion: "v1",
      metadata: { resourceVersion: String(this.#version) },
      items: items.map(({ metadata, data }) => ({ metadata, data })),
    };
  }

  #watch({ namespace, name }: Target, query: Asked["query"], reply: ServerResponse): void {
    const from = Number(query["resourceVersion"] ?? "0");
    const isExpired = from < this.#compactedTo;
    if (isExpired && this.#expiryAs === "status") throw tooOld();
    reply.writeHead(200);
    reply.flushHeaders();
    if (isExpired) return void reply.end(line("ERROR", tooOld().status));
    const seconds = Number(query["timeoutSeconds"] ?? "1800");
    const watch: WatchConnection = {
      reply,
      namespace: namespace ?? "",
      name,
      bookmarks: query["allowWatchBookmarks"] === "true",
      timer: setTimeout(() => this.#endWatch(watch), seconds * 1_000),
    };
    reply.on("close", () => {
      clearTimeout(watch.timer);
      this.#watches.delete(watch);
    });
    for (const { version, type, object } of this.#history)
      if (version > from && sees(watch, object)) reply.write(line(type, object));
    this.#watches.add(watch);
  }

  #sendBookmark({ bookmarks, reply }: WatchConnection): void {
    if (!bookmarks) return;
    const metadata = { resourceVersion: String(this.#version) };
    reply.write(line("BOOKMARK", { kind: "ConfigMap", apiVersion: "v1", metadata }));
  }

  #endWatch(watch: WatchConnection): void {
    this.#sendBookmark(watch);
    this.#watches.delete(watch);
    watch.reply.end();
  }

  #patchNodeStatus(target: Target, body: string, contentType: string): KubeObject {
    if (contentType !== "application/strategic-merge-patch+json") throw unsupported();
    const node = found(this.#nodes, target.name ?? "", target);
    const patch = parseObject(body) as { status?: { conditions?: [] } } | null;
    if (patch === null) throw new Refused(400, "BadRequest", "invalid JSON patch");
    const conditions = mergeConditions(
      this.conditions(target.name ?? ""),
      patch.status?.conditions ?? [],
    );
    const metadata = { ...node.metadata, resourceVersion: String(++this.#version) };
    const changed = { ...node, metadata, status: { conditions } };
    this.#nodes.set(node.metadata.name, changed);
    return changed;
  }

  #createEvent(target: Target, body: string, contentType: string): KubeObject {
    const namespace = target.namespace ?? "";
    if (contentType !== "application/json")
      throw new Refused(
        415,
        "UnsupportedMediaType",
        "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
      );
    const event = parseObject(body);
    if (event === null || event["kind"] !== "Event")
      throw new Refused(400, "BadRequest", "the object provided is unrecognized");
    const time = timeFault(event);
    if (time !== null)
      throw new Refused(
        400,
        "BadRequest",
        `Event in version "v1" cannot be handled as a Event: ${time}`,
      );
    const metadata = event["metadata"] as { name: string; namespace?: string };
    if ((metadata.namespace ?? namespace) !== namespace)
      throw new Refused(
        400,
        "BadRequest",
        "the namespace of the provided object does not match the namespace sent on the request",
      );
    const faults = eventFaults(event, namespace);
    if (faults.length > 0) throw invalidEvent(metadata.name, faults);
    const key = `${namespace}/${metadata.name}`;
    if (this.#events.has(key))
      throw new Refused(
        409,
        "AlreadyExists",
        `events.events.k8s.io "${metadata.name}" already exists`,
      );
    const made = {
      ...event,
      metadata: {
        ...metadata,
        namespace,
        uid: randomUUID(),
        resourceVersion: String(++this.#version),
      },
    };
    this.#events.set(key, made);
    return made;
  }

  #patchEvent(target: Target, body: string, contentType: string): KubeObject {
    if (contentType !== "application/merge-patch+json") throw unsupported();
    const key = `${target.namespace}/${target.name}`;
    const before = found(this.#events, key, target);
    const patch = parseObject(body);
    if (patch === null) throw new Refused(400, "BadRequest", "invalid JSON patch");
    const after = mergePatch(before, patch) as KubeObject;
    const time = timeFault(after);
    if (time !== null) throw new Refused(422, "Invalid", ` "" is invalid: patch: ${time}`);
    const faults = [
      ...immutableFaults(before, after),
      ...eventFaults(after, target.namespace ?? ""),
    ];
    if (faults.length > 0) throw invalidEvent(target.name ?? "", faults);
    this.#events.set(key, after);
    return after;
  }
}

function unsupported(): Refused {
  return new Refused(415, "UnsupportedMediaType", "415: Unsupported Media Type");
}

function line(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function sees({ namespace, name }: WatchConnection, { metadata }: KubeObject): boolean {
  return metadata.namespace === namespace && (name === null || metadata.name === name);
}

function found(
  objects: ReadonlyMap<string, KubeObject>,
  key: string,
  { resource, group, name }: Target,
): KubeObject {
  const object = objects.get(key);
  if (object !== undefined) return object;
  const kind = `${resource.replace("/status", "")}${group === "" ? "" : `.${group}`}`;
  throw new Refused(404, "NotFound", `${kind} "${name}" not found`);
}

/** Starts one on a free port of loopback; `stop` it when the test is over. */
export async function startKube(): Promise<KubeServer> {
  sharedTls ??= makeTls();
  const server = new KubeServer(sharedTls);
  await server.start();
  return server;
}
