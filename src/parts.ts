import { randomUUID } from "node:crypto";
import { errorText } from "./core/errors.ts";
import { nodeId, type NodeIdentity } from "./core/node.ts";
import type { Clock, Log } from "./core/ports.ts";
import type { AdminSync } from "./admin/sync.ts";
import { Acknowledgements } from "./alerts/acknowledgements.ts";
import { History } from "./alerts/history.ts";
import { Incidents } from "./alerts/incidents.ts";
import type { SigningKeys } from "./alerts/links/keys.ts";
import { createMutes } from "./alerts/mutes.ts";
import type { Silences } from "./alerts/silences.ts";
import type { StatfsLanes } from "./collect/statfs.ts";
import { atMost } from "./base/every.ts";
import { createHttpClient, type HttpClient } from "./base/http.ts";
import type { Redactor } from "./base/secret.ts";
import { channelPlugins } from "./notify/index.ts";
import { receiptId } from "./notify/target.ts";
import { createFleetMeter } from "./notify/meter.ts";
import { createNotifier, type Notifier } from "./notify/notifier.ts";
import { Engine } from "./rules/engine.ts";
import { createAdminLink } from "./admin-link.ts";
import { createCollecting, type Collecting } from "./collecting.ts";
import { createSigningKeys, createSilences } from "./documents.ts";
import { partsStatus } from "./health.ts";
import { apiAccess, createKubernetesLink } from "./kubernetes-link.ts";
import type { Cluster } from "./kubernetes/cluster.ts";
import { identify } from "./identity.ts";
import { createNodeFacts, type KnownFacts } from "./node-facts.ts";
import { InForce } from "./in-force.ts";
import type { Settings } from "./settings.ts";
import { createStorage, fileName, type Storage } from "./storage.ts";
import { writeDelayMs } from "./store/spread.ts";
import { createTeller } from "./teller.ts";
import { Ticker } from "./tick.ts";

/** What the agent is made with. */
export interface AppDeps {
  readonly settings: Settings;
  readonly clock: Clock;
  readonly log: Log;
  readonly redactor: Redactor;
  /** In [0, 1): jitter. */
  readonly random: () => number;
  /** Where small files are kept. */
  readonly stateDir: string;
  /** Of agents that follow one another in a process, so that what hangs is not asked again by each. */
  readonly lanes?: StatfsLanes;
}

/** The parts of the agent, put together; none of them runs yet. */
export interface Parts {
  readonly node: NodeIdentity;
  readonly http: HttpClient;
  readonly collecting: Collecting;
  readonly inForce: InForce;
  readonly nodeFacts: KnownFacts;
  readonly storage: Storage;
  readonly notifier: Notifier;
  readonly admin: AdminSync | null;
  readonly kubernetes: Cluster | null;
  readonly engine: Engine;
  readonly silences: Silences;
  readonly acknowledgements: Acknowledgements;
  readonly signingKeys: SigningKeys;
  readonly incidents: Incidents;
  readonly history: History;
  readonly ticker: Ticker;
}

/** A disk that hangs must not keep the next sample from being judged. */
const keptMs = 1_000;

type Foundation = AppDeps & Pick<Parts, "node" | "http" | "collecting" | "inForce" | "nodeFacts">;

function lay(deps: AppDeps): Foundation {
  const { settings, clock, log } = deps;
  const collecting = createCollecting(settings.config, deps);
  const node = identify(settings.config, collecting.host);
  const inForce = new InForce({ settings, node, collection: collecting.collection, clock, log });
  const nodeFacts = createNodeFacts(settings.config.node.labels, {
    awaitsCluster: apiAccess(settings.config.kubernetes) !== null,
  });
  return { ...deps, node, collecting, inForce, nodeFacts, http: createHttpClient() };
}

function store(base: Foundation): Storage {
  const { inForce, collecting, settings } = base;
  return createStorage({
    ...base,
    config: settings.config,
    node: nodeId(base.node),
    definitions: () => collecting.collection.definitions(),
    intervalMs: () => inForce.runtime.intervalMs,
    retentionDays: () => inForce.runtime.retentionDays,
    tierRetentionDays: () => inForce.runtime.tierRetentionDays,
    historyDays: () => inForce.runtime.historyDays,
  });
}

type Quiet = Pick<Parts, "silences" | "acknowledgements" | "signingKeys">;

/** What keeps people from being told, and what they say so with. */
function createQuiet(parts: Foundation & Pick<Parts, "storage">): Quiet {
  const { clock, log, node, storage } = parts;
  const file = fileName("silences", nodeId(node));
  const silences = createSilences({ ...storage, file, clock, log });
  const acknowledgements = new Acknowledgements({
    port: storage.backend.acknowledgements,
    clock,
    log,
  });
  const signingKeys = createSigningKeys({
    ...parts,
    ...storage,
    file: fileName("links", nodeId(node)),
  });
  return { silences, acknowledgements, signingKeys };
}

function createHistory(parts: Foundation & Pick<Parts, "storage" | "notifier">): History {
  const { storage, notifier, clock, log } = parts;
  return new History({
    entries: storage.history,
    receipts: storage.receipts,
    channels: () => notifier.stats().map(({ channel }) => channel),
    receiptId,
    clock,
    log,
  });
}

function createEngine({
  node,
  log,
  nodeFacts,
  collecting,
  storage,
}: Foundation & Pick<Parts, "storage">): Engine {
  const engine = new Engine({
    node,
    definitions: () => collecting.collection.definitions(),
    port: storage.states.port("rule:"),
    log,
  });
  engine.setFacts(nodeFacts.current);
  nodeFacts.onChange((facts) => engine.setFacts(facts));
  return engine;
}

function judging(
  parts: Foundation & Pick<Parts, "storage" | "notifier" | "admin">,
): Pick<Parts, "kubernetes" | "engine" | "incidents" | "history" | "ticker" | keyof Quiet> {
  const { clock, log, node, inForce, storage } = parts;
  const { collection } = parts.collecting;
  const { states, series } = storage;
  const engine = createEngine(parts);
  const quiet = createQuiet(parts);
  const history = createHistory(parts);
  const tell = createTeller(parts, quiet.signingKeys, () => kubernetes);
  const incidents = new Incidents({
    clock,
    log,
    port: states.port("incident:"),
    settings: () => inForce.runtime,
    newId: randomUUID,
    acknowledgements: quiet.acknowledgements,
    mutes: createMutes({ ...quiet, settings: () => inForce.runtime, clock }),
    tell: async (telling) => {
      history.note(telling);
      await tell(telling);
    },
    kept: () => atMost(clock, keptMs, storage.outbox.kept()),
  });
  const kubernetes = createKubernetesLink({
    ...parts,
    firing: () => incidents.list().filter(({ status }) => status === "firing"),
    parts: () => partsStatus(parts),
  });
  if (kubernetes !== null) inForce.awaits(() => kubernetes.source.spoken);
  const intervalMs = (): number => inForce.runtime.intervalMs;
  const ticker = new Ticker({
    collection,
    series,
    engine,
    incidents,
    states,
    clock,
    log,
    intervalMs,
    writeDelayMs: () => writeDelayMs(nodeId(node), intervalMs()),
    onError: (cause) => log.error("judging failed", { cause: errorText(cause) }),
  });
  return { kubernetes, engine, ...quiet, incidents, history, ticker };
}

/** Puts all parts together; constructing starts nothing and asks nothing but the host's own tables. */
export function createParts(deps: AppDeps): Parts {
  const base = lay(deps);
  const storage = store(base);
  const { outbox, receipts } = storage;
  const { inForce } = base;
  const notifier = createNotifier({
    ...base,
    plugins: channelPlugins,
    outbox,
    receipts,
    meter: createFleetMeter({ ...base, meter: storage.backend.meter }),
    language: () => inForce.runtime.language,
  });
  const admin = createAdminLink({ ...base, config: deps.settings.config, storage, notifier });
  return { ...base, storage, notifier, admin, ...judging({ ...base, storage, notifier, admin }) };
}
