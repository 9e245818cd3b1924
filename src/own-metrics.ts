import type { Depth, Outbox } from "./core/delivery.ts";
import type { Clock, ComponentStatus } from "./core/ports.ts";
import type { AdminSync } from "./admin/sync.ts";
import type { Incidents } from "./alerts/incidents.ts";
import type { Collection } from "./collect/runner.ts";
import type { Cluster } from "./kubernetes/cluster.ts";
import { latencyBoundsMs } from "./notify/ledger.ts";
import type { Notifier } from "./notify/notifier.ts";
import { levels } from "./core/rule.ts";
import type { InForce } from "./in-force.ts";
import type { SeriesStore } from "./store/contract.ts";
import type { OwnHistogram, OwnMetric, OwnSample } from "./telemetry/agent.ts";
import type { Ticker } from "./tick.ts";

/** The parts that the agent's own metrics are read from. */
export interface MeasuredParts {
  readonly version: string;
  readonly collection: Collection;
  readonly series: SeriesStore;
  readonly ticker: Ticker;
  readonly incidents: Incidents;
  readonly notifier: Notifier;
  readonly outbox: Pick<Outbox, "own">;
  readonly clock: Clock;
  readonly admin: AdminSync | null;
  readonly kubernetes: Cluster | null;
  readonly inForce: InForce;
  readonly components: () => Readonly<Record<string, ComponentStatus>>;
}

function metric(
  name: string,
  help: string,
  labels: readonly string[],
  read: OwnMetric["read"],
): OwnMetric {
  return { name: `targetvpc_${name}`, help, labels, read };
}

function one(value: number): readonly OwnSample[] {
  return [{ labels: {}, value }];
}

function collectMetrics({ collection, ticker, series }: MeasuredParts): readonly OwnMetric[] {
  return [
    metric(
      "collector_duration_seconds",
      "How long a collector's last look took",
      ["collector"],
      () =>
        collection.status().map(({ name, durationSeconds }) => ({
          labels: { collector: name },
          value: durationSeconds,
        })),
    ),
    metric("collector_success", "Whether a collector's last look succeeded", ["collector"], () =>
      collection
        .status()
        .map(({ name, success }) => ({ labels: { collector: name }, value: Number(success) })),
    ),
    metric("ticks_total", "Samples taken", [], () => one(ticker.ticks)),
    metric("tick_duration_seconds", "How long the last sample took", [], () =>
      one(ticker.lastDurationMs / 1_000),
    ),
    metric(
      "series_refused",
      "Series the last sample had to leave out: a node stores at most 200",
      [],
      () => one(collection.refusedSeries()),
    ),
    metric("store_dirty_blocks", "Blocks of series that the store has not got yet", [], () =>
      one(series.counters().dirtyBlocks),
    ),
    metric(
      "store_unreadable_blocks_total",
      "Stored blocks that were garbled or of an unknown version, and days in whose place something else is kept",
      [],
      () => one(series.counters().unreadableBlocks),
    ),
    metric(
      "store_compactions_total",
      "Closed days whose blocks were swapped for columns, and those that had to stay in blocks",
      ["outcome"],
      () => {
        const { compactedDays, failedCompactions } = series.counters();
        return [
          { labels: { outcome: "compacted" }, value: compactedDays },
          { labels: { outcome: "failed" }, value: failedCompactions },
        ];
      },
    ),
  ];
}

function alertMetrics({ incidents, notifier }: MeasuredParts): readonly OwnMetric[] {
  const outcomes = ["sent", "retrying", "refused", "dead"] as const;
  return [
    metric("alerts_firing", "Alerts that fire now", ["level"], () =>
      levels.map((level) => ({
        labels: { level },
        value: incidents
          .list()
          .filter((incident) => incident.status === "firing" && incident.level === level).length,
      })),
    ),
    metric(
      "notifications_total",
      "Attempts to deliver a message, by outcome and the service's code; without a code, always 0",
      ["channel", "type", "outcome", "code"],
      () =>
        notifier.stats().flatMap(({ channel, type, counts: { codes } }) => [
          // With nothing to begin at, the first of a code would be no increase.
          ...outcomes.map((outcome) => ({
            labels: { channel, type, outcome, code: "" },
            value: 0,
          })),
          ...[...codes.values()].flatMap(({ outcome, code, count }) =>
            code === "" ? [] : [{ labels: { channel, type, outcome, code }, value: count }],
          ),
        ]),
    ),
    metric(
      "channel_tokens",
      "Messages that may leave at once, told by who has sent within the last minute",
      ["channel"],
      async () =>
        (await notifier.tokens()).map(({ channel, left }) => ({
          labels: { channel },
          value: left,
        })),
    ),
  ];
}

function outboxMetrics({ notifier, outbox, clock }: MeasuredParts): readonly OwnMetric[] {
  const depths = (): readonly (readonly [string, Depth])[] => {
    const own = outbox.own();
    const none = { count: 0, oldestAtMs: null };
    return notifier.stats().map(({ channel }) => [channel, own.get(channel) ?? none]);
  };
  return [
    metric(
      "outbox_pending",
      "Messages of this agent that are not known to have arrived",
      ["channel"],
      () => depths().map(([channel, { count }]) => ({ labels: { channel }, value: count })),
    ),
    metric("outbox_oldest_seconds", "How long the oldest of them waits", ["channel"], () =>
      depths().map(([channel, { oldestAtMs }]) => ({
        labels: { channel },
        value: oldestAtMs === null ? 0 : Math.max(0, clock.now() - oldestAtMs) / 1_000,
      })),
    ),
  ];
}

/** How long messages take, for `/metrics`. */
export function ownHistograms({ notifier }: Pick<MeasuredParts, "notifier">): OwnHistogram[] {
  return [
    {
      name: "targetvpc_notification_latency_seconds",
      help: "From the decision to send to the proof that it arrived, of messages sent",
      labels: ["channel", "type"],
      bounds: latencyBoundsMs.map((ms) => ms / 1_000),
      buckets: () =>
        notifier.stats().map(({ channel, type, counts: { latency } }) => ({
          labels: { channel, type },
          counts: latency.counts,
          count: latency.count,
          sum: latency.sumMs / 1_000,
        })),
    },
  ];
}

/** What `/metrics` tells about the agent itself; the docs list every name, and a test compares. */
export function ownMetrics(parts: MeasuredParts): readonly OwnMetric[] {
  const { version, admin, inForce, kubernetes, components } = parts;
  return [
    metric("build_info", "Which agent this is", ["version"], () => [
      { labels: { version }, value: 1 },
    ]),
    metric(
      "component_status",
      "1 for the state a part of the agent is in",
      ["component", "status"],
      () =>
        Object.entries(components()).map(([component, { status }]) => ({
          labels: { component, status },
          value: 1,
        })),
    ),
    metric(
      "config_last_reload_successful",
      "Whether the last answer of a source was a valid configuration",
      ["source"],
      () => [
        { labels: { source: "file" }, value: Number(inForce.file.status === "ok") },
        ...(admin === null
          ? []
          : [{ labels: { source: "admin" }, value: Number(admin.lastReloadSuccessful()) }]),
        ...(kubernetes === null
          ? []
          : [{ labels: { source: "configmap" }, value: Number(kubernetes.source.reloaded) }]),
      ],
    ),
    metric(
      "kubernetes_events_total",
      "Events of the cluster, by what became of them",
      ["outcome"],
      () =>
        Object.entries(kubernetes?.counters ?? {}).map(([outcome, value]) => ({
          labels: { outcome },
          value: Number(value),
        })),
    ),
    ...collectMetrics(parts),
    ...alertMetrics(parts),
    ...outboxMetrics(parts),
  ];
}
