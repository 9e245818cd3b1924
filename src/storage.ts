import { AgentError } from "./core/errors.ts";
import type { NodeInfo } from "./core/node.ts";
import type { Clock, Log, Running } from "./core/ports.ts";
import type { IndexDefinition } from "./core/series.ts";
import { loop } from "./base/every.ts";
import type { Config } from "./config/settings.ts";
import type { Backend, SeriesStore } from "./store/contract.ts";
import { createDirectoryReport } from "./store/directory.ts";
import { createBackend, type BackendName } from "./store/index.ts";
import { createLocalFiles, type LocalFiles } from "./store/local.ts";
import { createDrift, type Drift } from "./drift.ts";
import { KeptHistory } from "./store/kept-history.ts";
import { createKeptReceipts, type KeptReceipts } from "./store/kept-receipts.ts";
import { createSeriesStore } from "./store/series.ts";
import { createAgentOutbox, type AgentOutbox } from "./store/outbox.ts";
import { States } from "./store/states.ts";
import type { RedisSettings } from "./store/redis/settings.ts";

/** Everything that is kept somewhere. */
export interface Storage {
  readonly backend: Backend;
  /** This node's clock against the backend's. */
  readonly drift: Drift;
  readonly local: LocalFiles;
  readonly series: SeriesStore;
  readonly states: States;
  readonly receipts: KeptReceipts;
  readonly history: KeptHistory;
  /** Messages on their way; they outlive the agent. */
  readonly outbox: AgentOutbox;
}

export interface StorageDeps {
  readonly config: Config;
  /** `cluster/name`. */
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly stateDir: string;
  readonly definitions: () => readonly IndexDefinition[];
  readonly intervalMs: () => number;
  readonly retentionDays: () => number;
  readonly tierRetentionDays: () => number;
  readonly historyDays: () => number;
}

/** A file of this node's: agents of several nodes may share a directory. */
export function fileName(kind: string, node: string): string {
  return `${kind}-${encodeURIComponent(node)}.json`;
}

/** The `redis` part of the configuration, as the backend takes it. */
export function redisSettings({ tls, ...redis }: Config["redis"]): RedisSettings {
  const { ca_file: caFile, cert_file: certFile, key_file: keyFile, server_name: serverName } = tls;
  const { sentinel_name: sentinelName, sentinel_password: sentinelPassword } = redis;
  const { cluster_nodes: clusterNodes } = redis;
  return {
    ...redis,
    sentinelName,
    sentinelPassword,
    clusterNodes,
    tls: tls.enabled ? { caFile, certFile, keyFile, serverName } : null,
  };
}

/** Whether a backend may be away while the disk beside the agent is there. */
function isRemote({ name }: Backend): boolean {
  return name === "redis";
}

/** What is kept of messages and incidents; it waits beside the agent while the store is away. */
function createRecords(
  { backend, local }: Pick<Storage, "backend" | "local">,
  { node, clock, log, historyDays }: StorageDeps,
): Pick<Storage, "receipts" | "history" | "outbox"> {
  const receipts = createKeptReceipts({ receipts: backend.receipts, clock, log });
  const history = new KeptHistory({
    history: backend.history,
    local,
    file: fileName("history", node),
    log,
    historyDays,
  });
  const outbox = createAgentOutbox({
    shared: backend.outbox,
    receipts,
    local,
    file: fileName("outbox", node),
    clock,
    log,
    // Not waited for: neither rejects.
    onBack: () => void Promise.all([receipts.flush(), history.flush()]),
  });
  return { receipts, history, outbox };
}

export function createStorage(deps: StorageDeps): Storage {
  const { config, node, clock, log, retentionDays } = deps;
  const { backlog_max_bytes: maxBytes } = config.storage;
  const report = createDirectoryReport(deps.stateDir, log);
  const backend = createBackend(
    config.storage.backend as BackendName, // proof: the setting takes only names of the list
    { redis: redisSettings(config.redis), file: { dir: deps.stateDir, report } },
    { clock, log, retentionDays },
  );
  const local = createLocalFiles(deps.stateDir, { log, clock, report });
  return {
    backend,
    drift: createDrift(backend, { clock, log }),
    local,
    ...createRecords({ backend, local }, deps),
    series: createSeriesStore({
      backend,
      node,
      clock,
      log,
      definitions: deps.definitions,
      retentionDays,
      tierRetentionDays: deps.tierRetentionDays,
      stepMs: deps.intervalMs,
      backlog: isRemote(backend)
        ? { dir: deps.stateDir, name: `backlog-${encodeURIComponent(node)}`, maxBytes }
        : null,
    }),
    states: new States({
      remote: backend.states(node),
      local,
      file: fileName("states", node),
      clock,
      log,
    }),
  };
}

const lookEveryMs = 20;

/** Waits until a backend has connected or given up, but not for ever. */
export async function settled(
  backend: Pick<Backend, "status">,
  clock: Clock,
  patienceMs: number,
): Promise<void> {
  const endMs = clock.monotonic() + patienceMs;
  while (backend.status().status === "starting" && clock.monotonic() < endMs)
    await clock.sleep(lookEveryMs);
}

const keepRetryMs = 60_000;

/** Takes care of what is closed, as the store asks for it; again after a minute while the store is away. */
export function startKeeping(
  series: Pick<SeriesStore, "keep">,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Running {
  return loop(
    clock,
    (signal) => series.keep(signal),
    (cause) => {
      // That the store is away, it says itself.
      if (!(cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE"))
        log.error("closed blocks not taken care of", { cause });
      return keepRetryMs;
    },
  );
}

/** With ten seconds between samples, an eighteenth of a command a tick. */
const heartbeatMs = 180_000;
const heartbeatRetryMs = 5_000;

/** Says every three minutes that this node lives; sooner again while the store is away. */
export function startHeartbeat(
  backend: Backend,
  clock: Clock,
  info: () => Promise<NodeInfo>,
): Running {
  return loop(
    clock,
    async () => {
      await backend.heartbeat(await info());
      return heartbeatMs;
    },
    () => heartbeatRetryMs,
  );
}
