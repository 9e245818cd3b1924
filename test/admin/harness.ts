import * as v from "valibot";
import { createAdminSync, type AdminSync, type AdminSyncDeps } from "../../src/admin/sync.ts";
import { finite, list, parseWith, strictObject, text, type Parsed } from "../../src/base/parse.ts";
import { createHttpClient, type HttpClient } from "../../src/base/http.ts";
import { Secret } from "../../src/base/secret.ts";
import type { NodeIdentity } from "../../src/core/node.ts";
import type { PolicyDocument } from "../../src/core/policy.ts";
import type { Running } from "../../src/core/ports.ts";
import { operators, type Rule } from "../../src/core/rule.ts";
import type { AdminSettings } from "../../src/admin/request.ts";
import type net from "node:net";
import type { AddressInfo } from "node:net";
import { configPath, recordsPath, startAdminServer, type AdminServer } from "../support/admin.ts";
import { eventually, ManualClock } from "../support/clock.ts";
import { recordLog } from "../support/log.ts";

export const token = "s3cret-t0ken";
export const node: NodeIdentity = { cluster: "default", name: "node-1", ip: "192.0.2.10" };

const ruleSchema = strictObject({
  name: v.optional(text),
  index: text,
  operator: v.optional(v.picklist(operators, "expected an operator"), ">"),
  threshold: v.optional(finite),
  levels: v.optional(
    strictObject({
      info: v.optional(finite),
      warning: v.optional(finite),
      critical: v.optional(finite),
    }),
  ),
  for: v.optional(v.union([finite, text])),
  clear: v.optional(finite),
});

const channelSchema = strictObject({ name: v.optional(text), type: text, webhook_url: text });

const documentSchema = strictObject({
  metrics: v.optional(strictObject({ collection_interval: v.optional(finite) }), {}),
  alerts: v.optional(
    strictObject({
      cooldown_minutes: v.optional(finite),
      rules: v.optional(list(ruleSchema), []),
      channels: v.optional(list(channelSchema), []),
    }),
    { rules: [], channels: [] },
  ),
});

type RawRule = v.InferOutput<typeof ruleSchema>;

function toRule(raw: RawRule): Rule {
  const given = raw.levels ?? { warning: raw.threshold };
  const thresholds: Record<string, number> = {};
  for (const [level, value] of Object.entries(given))
    if (value !== undefined) thresholds[level] = value;
  return {
    name: raw.name ?? raw.index,
    index: raw.index,
    operator: raw.operator,
    thresholds,
    forMs: 0,
    clear: raw.clear ?? null,
    keepFiringForMs: 0,
    cooldownMs: null,
    labels: {},
    channels: null,
    nodes: null,
    message: null,
    runbookUrl: null,
    enabled: true,
  };
}

/** A small parser of policies, strict as the agent's own. */
export function parseDocument(input: unknown): Parsed<PolicyDocument> {
  const parsed = parseWith(documentSchema, input);
  if (!parsed.ok) return parsed;
  const { metrics, alerts } = parsed.value;
  const interval = metrics.collection_interval;
  const cooldown = alerts.cooldown_minutes;
  return {
    ok: true,
    value: {
      rules: alerts.rules.map(toRule),
      channels: alerts.channels.map((channel) => ({
        name: channel.name ?? channel.type,
        type: channel.type,
        enabled: true,
        levels: null,
        language: null,
        maxPerMinute: null,
        template: null,
        settings: new Secret(channel.webhook_url),
        shown: {},
      })),
      metrics: interval === undefined ? {} : { collectionIntervalMs: interval * 1_000 },
      alerts: cooldown === undefined ? {} : { cooldownMs: cooldown * 60_000 },
    },
  };
}

/** `{index: {level: threshold}}` of a policy, to compare with. */
export function thresholds({ rules }: PolicyDocument): Record<string, unknown> {
  return Object.fromEntries(rules.map((rule) => [rule.name, rule.thresholds]));
}

/** A clock by hand that remembers how long each wait was to be. */
export class WaitsClock extends ManualClock {
  readonly waits: number[] = [];

  override async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    this.waits.push(ms);
    await super.sleep(ms, signal);
  }
}

/** A cache in memory that can be told to break. */
export function memoryCache(content: string | null = null) {
  return {
    content,
    saves: 0,
    broken: false,
    load(): Promise<string | null> {
      return this.broken
        ? Promise.reject(new Error("store is down"))
        : Promise.resolve(this.content);
    },
    save(json: string): Promise<void> {
      this.saves += 1;
      if (this.broken) return Promise.reject(new Error("store is down"));
      this.content = json;
      return Promise.resolve();
    },
  };
}

export interface Harness {
  readonly sync: AdminSync;
  readonly clock: WaitsClock;
  readonly logged: ReturnType<typeof recordLog>;
  readonly cache: ReturnType<typeof memoryCache>;
  readonly taken: { readonly document: PolicyDocument; readonly revision: string }[];
  readonly lastError: () => string;
  start(): Promise<void>;
  /** Starts without waiting for the first poll to end. */
  begin(): void;
  /** Waits until this many polls are over and the next is being waited for. */
  polled(count: number): Promise<void>;
  /** Lets the wait for the next poll pass and the poll end. */
  next(): Promise<void>;
  /** How long it waits for the next poll, milliseconds. */
  gapMs(): number;
  stop(): Promise<void>;
}

export function settingsFor(url: string, change: Partial<AdminSettings> = {}): AdminSettings {
  return {
    baseUrl: url,
    configEndpoint: configPath,
    alertEndpoint: recordsPath,
    token: new Secret(token),
    syncIntervalMs: 30_000,
    ...change,
  };
}

/** What the running test has opened, in the order of opening. */
const opened: (() => Promise<void>)[] = [];

/** Closes what a test opened, last first, also after a failure: an open socket would keep the test run from ending. */
export async function cleanUp(): Promise<void> {
  for (const close of opened.splice(0).reverse()) await close();
}

/** An admin server for one test. */
export async function adminServer(
  options?: Parameters<typeof startAdminServer>[0],
): Promise<AdminServer> {
  const server = await startAdminServer(options);
  opened.push(() => server.close());
  return server;
}

/** Lets a server of another kind listen for one test; its port. */
export async function listen(server: net.Server): Promise<number> {
  const sockets = new Set<net.Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  opened.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  return (server.address() as AddressInfo).port;
}

/** The real sync over real HTTP, on a clock by hand. */
export function harness(settings: AdminSettings, change: Partial<AdminSyncDeps> = {}): Harness {
  const clock = new WaitsClock();
  const logged = recordLog();
  const cache = memoryCache();
  const taken: { document: PolicyDocument; revision: string }[] = [];
  const http: HttpClient = createHttpClient();
  const sync = createAdminSync({
    settings,
    node: () => node,
    http,
    clock,
    log: logged.log,
    random: () => 0.5,
    parseDocument,
    cache,
    onDocument: (document, revision) => taken.push({ document, revision }),
    ...change,
  });
  let running: Running | undefined;
  const polled = (count: number): Promise<void> =>
    eventually(`poll ${count}`, () => sync.counters.polls >= count && clock.waiting === 1);
  const stop = async (): Promise<void> => {
    await running?.stop();
    http.close();
  };
  opened.push(stop);
  return {
    sync,
    clock,
    logged,
    cache,
    taken,
    lastError: () => sync.status().lastError ?? "",
    begin: () => {
      running = sync.start();
    },
    start: async () => {
      running = sync.start();
      await polled(1);
    },
    polled,
    gapMs: () => clock.waits.at(-1) ?? 0,
    next: async () => {
      const { polls } = sync.counters;
      await clock.advance(clock.waits.at(-1) ?? 0);
      await polled(polls + 1);
    },
    stop,
  };
}
