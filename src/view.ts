import * as v from "valibot";
import type { ComponentStatus } from "./core/ports.ts";
import type { NodeIdentity } from "./core/node.ts";
import { exposedLabels, exposedMetric } from "./core/exposed.ts";
import type { Row } from "./core/series.ts";
import type { Family } from "./core/family.ts";
import type { AdminSync } from "./admin/sync.ts";
import type { Acknowledgements } from "./alerts/acknowledgements.ts";
import type { Incidents } from "./alerts/incidents.ts";
import type { SigningKeys } from "./alerts/links/keys.ts";
import type { Silences } from "./alerts/silences.ts";
import type { AgentView, SourceState } from "./api/ports.ts";
import type { Collection } from "./collect/runner.ts";
import type { Clock } from "./core/ports.ts";
import type { Notifier } from "./notify/notifier.ts";
import { createOwnMetrics, processMetrics } from "./telemetry/agent.ts";
import { writeFamilies } from "./telemetry/exposition.ts";
import { createActionView } from "./action-view.ts";
import { acceptAlert } from "./foreign-alert.ts";
import { takeReports } from "./reported-alerts.ts";
import { historyView } from "./history-view.ts";
import { ownHistograms, ownMetrics, type MeasuredParts } from "./own-metrics.ts";
import type { Cluster } from "./kubernetes/cluster.ts";
import type { Storage } from "./storage.ts";

/** The parts of the agent that the API looks at. */
export interface ViewParts extends MeasuredParts {
  readonly node: NodeIdentity;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly collection: Collection;
  readonly incidents: Incidents;
  readonly silences: Silences;
  readonly acknowledgements: Acknowledgements;
  readonly signingKeys: SigningKeys;
  readonly notifier: Notifier;
  readonly admin: AdminSync | null;
  readonly kubernetes: Cluster | null;
  readonly ready: () => boolean;
  /** Before this, nobody knows what was already told. */
  readonly restored: Promise<unknown>;
}

/** How each source of rules and channels is doing. */
function sourceStates(
  { inForce, admin, kubernetes, clock }: ViewParts,
  startedAtMs: number,
): readonly SourceState[] {
  const { book } = inForce;
  const counted = (source: string): { rules: number; channels: number } => ({
    rules: book.policy.rules.filter((rule) => rule.source === source).length,
    channels: book.policy.channels.filter((channel) => channel.source === source).length,
  });
  const fine: ComponentStatus = {
    status: "ok",
    sinceMs: Math.min(startedAtMs, clock.now()),
    lastError: null,
  };
  const revision = book.sources().get("file")?.revision ?? null;
  return [
    { source: "default", status: fine, revision: "built-in", ...counted("default") },
    { source: "file", status: inForce.file, revision, ...counted("file") },
    ...(kubernetes === null
      ? []
      : [
          {
            source: "configmap",
            status: kubernetes.source.status,
            revision: kubernetes.source.revision,
            ...counted("configmap"),
          },
        ]),
    ...(admin === null
      ? []
      : [
          {
            source: "admin",
            status: admin.status(),
            revision: admin.revision(),
            ...counted("admin"),
          },
        ]),
  ];
}

/** The stored series once more, for Prometheus: what is not in a node_* family is found here. */
function indexFamily(row: Row | undefined, node: NodeIdentity): Family {
  const samples = [...(row?.values ?? [])].flatMap(([key, value]) =>
    value === null ? [] : [{ labels: exposedLabels(node, key), value }],
  );
  return { ...exposedMetric, samples };
}

async function configOf(
  parts: ViewParts,
  node: string,
): Promise<Readonly<Record<string, unknown>> | null> {
  const json = await parts.storage.backend.getDocument(node, "effective");
  if (json === null) return null;
  const parsed = v.safeParse(
    v.pipe(v.string(), v.parseJson(), v.record(v.string(), v.unknown())),
    json,
  );
  return parsed.success ? parsed.output : null;
}

/** A page that is looked at again and again asks the store no more often. */
const lookEveryMs = 5_000;

type QuietView = Pick<AgentView, "mutes" | "silences" | "silence" | "endSilence">;

/** What keeps people from being told. */
function quietView({ silences, incidents, storage, acknowledgements }: ViewParts): QuietView {
  return {
    mutes: async () => {
      await Promise.all([
        silences.ageMs >= lookEveryMs ? silences.refresh() : null,
        acknowledgements.ageMs >= lookEveryMs ? incidents.learnAcknowledgements() : null,
      ]);
      return (incident) => incidents.muteOf(incident);
    },
    silences: () => storage.backend.silences.list(),
    silence: (silence) => silences.put(silence),
    endSilence: (id) => silences.end(id),
  };
}

/** The ways in for alerts of others. */
function inward({
  node,
  clock,
  storage,
  collection,
  incidents,
  restored,
}: ViewParts): Pick<AgentView, "acceptAlert" | "takeReports"> {
  const deps = () => ({
    node,
    nowMs: clock.now(),
    backend: storage.backend,
    incidents,
    unitOf: (index: string) =>
      collection.definitions().find(({ name }) => name === index)?.unit ?? "",
  });
  return {
    acceptAlert: async (alert) => {
      await restored;
      return acceptAlert(alert, deps());
    },
    takeReports: async (alerts) => {
      await restored;
      await takeReports(alerts, deps());
    },
  };
}

/** All the API may ask, answered by the parts. */
export function createView(parts: ViewParts): AgentView {
  const { node, clock, storage, collection, incidents, notifier, inForce } = parts;
  const startedAtMs = clock.now();
  const own = createOwnMetrics(
    [...processMetrics(startedAtMs), ...ownMetrics(parts)],
    ownHistograms(parts),
  );
  return {
    node,
    version: parts.version,
    startedAtMs: () => startedAtMs,
    ready: parts.ready,
    components: parts.components,
    collectionIntervalMs: () => inForce.runtime.intervalMs,
    retentionDays: () => inForce.runtime.retentionDays,
    tierRetentionDays: () => inForce.runtime.tierRetentionDays,
    indexes: () => collection.definitions(),
    latest: () => storage.series.latest(),
    readSeries: (query) => storage.series.read(query),
    readBuckets: (query) => storage.series.readBuckets(query),
    seriesKeys: (query) => storage.series.seriesKeys(query),
    nodes: () => storage.backend.nodes(),
    effectiveConfig: () => inForce.shown(),
    configOf: (other) => configOf(parts, other),
    rules: () => inForce.book.policy.rules,
    sources: () => sourceStates(parts, startedAtMs),
    incidents: () => incidents.list(),
    ...inward(parts),
    ...quietView(parts),
    ...historyView({ ...storage, clock, historyDays: () => inForce.runtime.historyDays }),
    ...createActionView(parts),
    channels: () => notifier.states(),
    testChannel: (name) => notifier.test(name),
    receipts: (query) => storage.receipts.list(query),
    metrics: async () => {
      const families = await collection.families();
      const text = writeFamilies([...families, indexFamily(storage.series.latest(), node)]);
      return text + (await own.render());
    },
  };
}
