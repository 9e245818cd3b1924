import type { Acted, ActionClaim, ActionEnd, LinkReading } from "../core/action.ts";
import type { Incident } from "../core/alert.ts";
import type { ChannelSpec, Outcome, Receipt } from "../core/delivery.ts";
import type { Mute } from "../core/mute.ts";
import type { HistoryEntry } from "../core/history.ts";
import type { NodeIdentity, NodeInfo } from "../core/node.ts";
import type { ComponentStatus } from "../core/ports.ts";
import type { Level, Operator, Rule, Sourced } from "../core/rule.ts";
import type { Silence } from "../core/silence.ts";
import type { IndexDefinition, Labels, Row, SeriesKey, SeriesSelector } from "../core/series.ts";

/** An alert handed in by somebody else, checked. */
export interface ForeignAlert {
  readonly index: string;
  readonly threshold: number;
  readonly value: number;
  readonly atMs: number;
  readonly operator: Operator;
  readonly level: Level;
  readonly message: string | null;
  readonly labels: Labels;
  /** `name` or `cluster/name`; null: this node. */
  readonly node: string | null;
}

export type ForeignOutcome =
  | { readonly status: "accepted"; readonly id: string }
  | { readonly status: "suppressed"; readonly id: string; readonly reason: string };

/** An alert as a Prometheus or an Alertmanager reports it, again and again while it fires; checked. */
export interface ReportedAlert {
  /** A hash of its labels: what it is known by. */
  readonly fingerprint: string;
  readonly rule: string;
  readonly index: string;
  /** The labels that are told nowhere else. */
  readonly labels: Labels;
  readonly level: Level;
  /** A node's name or address; null: this node. */
  readonly node: string | null;
  /** Null: this node's. */
  readonly cluster: string | null;
  readonly value: number | null;
  readonly message: string | null;
  readonly runbookUrl: string | null;
  /** Where the sender shows it. */
  readonly sourceUrl: string | null;
  readonly state: "firing" | "resolved";
  /** When it began or ended, not after now. */
  readonly atMs: number;
  /** When it is over unless it is reported again. */
  readonly untilMs: number;
}

/** How a channel is doing. */
export interface ChannelState {
  readonly spec: Sourced<ChannelSpec>;
  readonly status: ComponentStatus;
  /** Messages that may leave at once. */
  readonly tokensLeft: number | null;
  /** Messages to its robot since midnight, UTC, whoever sent them; null: they are not counted. */
  readonly sentToday: number | null;
  readonly pending: number;
}

/** How a source of rules and channels is doing. */
export interface SourceState {
  readonly source: string;
  readonly status: ComponentStatus;
  readonly revision: string | null;
  readonly rules: number;
  readonly channels: number;
}

export interface SeriesResult {
  readonly timesMs: Float64Array;
  readonly columns: ReadonlyMap<SeriesKey, readonly (number | null)[]>;
}

/** What one series had in each bucket; a minimum or maximum is null where the count is 0. */
export interface BucketValues {
  readonly counts: readonly number[];
  readonly sums: readonly number[];
  readonly mins: readonly (number | null)[];
  readonly maxs: readonly (number | null)[];
}

export interface BucketResult {
  readonly timesMs: readonly number[];
  readonly columns: ReadonlyMap<SeriesKey, BucketValues>;
}

/** All the API may ask of the agent; `app.ts` provides it. */
export interface AgentView {
  readonly node: NodeIdentity;
  readonly version: string;
  startedAtMs(): number;
  ready(): boolean;
  components(): Readonly<Record<string, ComponentStatus>>;
  collectionIntervalMs(): number;
  retentionDays(): number;
  tierRetentionDays(): number;
  /** Incidents of the fleet that began within a time. Rejects with INPUT_INVALID when there are too many to look through. */
  history(fromMs: number, toMs: number): Promise<readonly HistoryEntry[]>;
  /** One of them by its id; null: nobody remembers it. */
  remembered(id: string): Promise<HistoryEntry | null>;
  /** Every index that can be asked for. */
  indexes(): readonly IndexDefinition[];
  latest(): Row | undefined;
  readSeries(query: {
    /** `cluster/name`. */
    node: string;
    selectors: readonly SeriesSelector[];
    fromMs: number;
    toMs: number;
  }): Promise<SeriesResult>;
  /** Buckets `[b, b + step)` with exact sums; only whole ones, so the ends are moved outwards. */
  readBuckets(query: {
    node: string;
    selectors: readonly SeriesSelector[];
    fromMs: number;
    toMs: number;
    stepMs: number;
  }): Promise<BucketResult>;
  /** The series a node may have samples of between two times, sorted. */
  seriesKeys(query: { node: string; fromMs: number; toMs: number }): Promise<readonly SeriesKey[]>;
  nodes(): Promise<readonly NodeInfo[]>;
  /** The redacted effective configuration of this node. */
  effectiveConfig(): Readonly<Record<string, unknown>>;
  /** The same of another node, from the shared store; null when it has none. */
  configOf(node: string): Promise<Readonly<Record<string, unknown>> | null>;
  rules(): readonly Sourced<Rule>[];
  sources(): readonly SourceState[];
  incidents(): readonly Incident[];
  /** Tells of open incidents why people are told nothing of them now; null: they are. */
  mutes(): Promise<(incident: Incident) => Mute | null>;
  /** The silences of the fleet, those that ended within a day too. */
  silences(): Promise<readonly Silence[]>;
  silence(silence: Silence): Promise<void>;
  /** Ends one now; null: there is none of that id. */
  endSilence(id: string): Promise<Silence | null>;
  /** Null: no such open incident on this node. */
  acknowledge(id: string, by: string): Promise<Incident | null>;
  /** Says it to the agents of other nodes, of which one may have that alert; false: people were told of none, or it is over. */
  acknowledgeElsewhere(id: string, by: string): Promise<boolean>;
  /** Reads a link of a message, whichever agent signed it. */
  readLink(token: string): Promise<LinkReading>;
  /** When what a link does would end; null: no clock ends it. */
  actionEnd(claim: ActionClaim): ActionEnd | null;
  /** In whose time people are told. */
  actionTimezone(): string;
  /** Does what a link is the right to. Rejects with STORE_UNAVAILABLE or CONFLICT. */
  act(link: Extract<LinkReading, { ok: true }>, by: string): Promise<Acted>;
  acceptAlert(alert: ForeignAlert): Promise<ForeignOutcome>;
  /** Takes alerts that their sender reports again and again. */
  takeReports(alerts: readonly ReportedAlert[]): Promise<void>;
  channels(): Promise<readonly ChannelState[]>;
  /** Sends a test message through the real way; null: no such channel. */
  testChannel(name: string): Promise<Outcome | null>;
  receipts(query: { channel?: string; alert?: string; limit: number }): Promise<readonly Receipt[]>;
  /** The whole /metrics page. */
  metrics(): Promise<string>;
}

export interface ApiSettings {
  readonly host: string;
  readonly port: number;
  /** Null: changes only over loopback. */
  readonly token: { reveal(): string } | null;
  readonly protect: "writes" | "all";
}
