import type {
  AgentView,
  BucketResult,
  ChannelState,
  ForeignAlert,
  ForeignOutcome,
  ReportedAlert,
  SeriesResult,
  SourceState,
} from "../../src/api/ports.ts";
import { bucketsOf } from "./buckets.ts";
import type { Acted, ActionClaim, ActionEnd, LinkReading } from "../../src/core/action.ts";
import type { Mute } from "../../src/core/mute.ts";
import type { Silence } from "../../src/core/silence.ts";
import type { Incident } from "../../src/core/alert.ts";
import type { ChannelSpec, Outcome, Receipt } from "../../src/core/delivery.ts";
import type { HistoryEntry } from "../../src/core/history.ts";
import type { NodeInfo } from "../../src/core/node.ts";
import { nodeId } from "../../src/core/node.ts";
import type { ComponentStatus } from "../../src/core/ports.ts";
import type { Rule, Sourced } from "../../src/core/rule.ts";
import {
  selects,
  type IndexDefinition,
  type Row,
  type SeriesKey,
  type SeriesSelector,
} from "../../src/core/series.ts";

/** Noon of a Monday, when a `ManualClock` begins. */
export const noonMs = Date.UTC(2026, 0, 5, 12, 0, 0);

const percent = (name: string, labels: readonly string[] = []): IndexDefinition => ({
  name,
  unit: "%",
  decimals: 1,
  labels,
  help: `${name} in use`,
});

export function status(
  state: ComponentStatus["status"] = "ok",
  lastError: string | null = null,
): ComponentStatus {
  return { status: state, sinceMs: noonMs - 60_000, lastError };
}

export function incident(
  changes: Partial<Incident> & { index?: string; rule?: string } = {},
): Incident {
  const { index = "cpu", rule = "cpu-high", ...rest } = changes;
  return {
    id: "alert-1",
    subject: {
      key: `${rule}|${index}`,
      rule,
      index,
      unit: "%",
      labels: {},
      operator: ">",
      message: null,
      runbookUrl: null,
      channels: null,
      cooldownMs: null,
      node: { cluster: "east", name: "node-1", ip: "192.0.2.10" },
    },
    status: "firing",
    level: "warning",
    threshold: 80,
    value: 91.5,
    peak: 97.2,
    startedAtMs: noonMs - 600_000,
    updatedAtMs: noonMs - 10_000,
    endedAtMs: null,
    flaps: 0,
    flapping: false,
    acknowledgedBy: null,
    noData: false,
    ...rest,
  };
}

export function receipt(changes: Partial<Receipt> = {}): Receipt {
  return {
    id: "receipt-1",
    alert: "alert-1",
    channel: "ops",
    type: "feishu",
    kind: "firing",
    outcome: "sent",
    attempts: 1,
    code: "0",
    message: null,
    digest: null,
    createdAtMs: noonMs - 5_000,
    settledAtMs: noonMs - 4_750,
    ...changes,
  };
}

export function rule(changes: Partial<Rule> = {}): Sourced<Rule> {
  return {
    value: {
      name: "cpu-high",
      index: "cpu",
      operator: ">",
      thresholds: { warning: 80 },
      forMs: 300_000,
      clear: 75,
      keepFiringForMs: 0,
      cooldownMs: null,
      labels: {},
      channels: null,
      nodes: null,
      message: null,
      runbookUrl: null,
      enabled: true,
      ...changes,
    },
    source: "file",
    revision: "r1",
  };
}

export function channel(
  changes: Partial<ChannelSpec> = {},
  state: Partial<Omit<ChannelState, "spec">> = {},
): ChannelState {
  const value: ChannelSpec = {
    name: "ops",
    type: "feishu",
    enabled: true,
    levels: null,
    language: null,
    maxPerMinute: null,
    template: null,
    settings: {},
    shown: { webhook_url: "***" },
    ...changes,
  };
  return {
    spec: { value, source: "file", revision: "r1" },
    status: status(),
    tokensLeft: 18,
    sentToday: 2,
    pending: 0,
    ...state,
  };
}

/** A small agent in memory behind the API's port: whatever a test puts into it is what the API sees. */
export class MemoryView implements AgentView {
  node = { cluster: "east", name: "node-1", ip: "192.0.2.10" };
  version = "1.2.3";
  startedMs = noonMs - 3_600_000;
  isReady = true;
  parts: Record<string, ComponentStatus> = { collect: status(), redis: status() };
  intervalMs = 10_000;
  keptDays = 7;
  definitions: IndexDefinition[] = [
    percent("cpu"),
    percent("memory"),
    percent("disk", ["mount"]),
    { name: "load1", unit: "", decimals: 2, labels: [], help: "load" },
    { name: "net_receive", unit: "B/s", decimals: 0, labels: ["interface"], help: "received" },
  ];
  /** By `cluster/name`. */
  rows = new Map<string, Row[]>();
  others: NodeInfo[] = [];
  config: Record<string, unknown> = { node: { name: "node-1" }, redis: { password: "***" } };
  configs = new Map<string, Record<string, unknown>>();
  ruleList: Sourced<Rule>[] = [rule()];
  sourceList: SourceState[] = [
    { source: "file", status: status(), revision: "r1", rules: 1, channels: 1 },
  ];
  incidentList: Incident[] = [];
  silenceList: Silence[] = [];
  entries: HistoryEntry[] = [];
  mute: Mute | null = null;
  channelList: ChannelState[] = [channel()];
  receiptList: Receipt[] = [];
  accepted: ForeignAlert[] = [];
  reported: ReportedAlert[] = [];
  /** Alerts of other nodes, and who acknowledged them. */
  elsewhere = new Map<string, string>();
  /** By token. */
  links = new Map<string, LinkReading>();
  acted: { claim: ActionClaim; by: string }[] = [];
  actedAs: Acted | null = null;
  outcome: ForeignOutcome = { status: "accepted", id: "alert-9" };
  testOutcome: Outcome = { outcome: "sent", code: "0" };
  /** Set, everything that asks the store fails with it. */
  failure: Error | null = null;
  /** Held back until it resolves. */
  gate: Promise<void> = Promise.resolve();
  reads = 0;

  async history(fromMs: number, toMs: number): Promise<readonly HistoryEntry[]> {
    if (this.failure !== null) throw this.failure;
    return this.entries.filter(
      ({ incident: { startedAtMs } }) => startedAtMs >= fromMs && startedAtMs <= toMs,
    );
  }

  async remembered(id: string): Promise<HistoryEntry | null> {
    if (this.failure !== null) throw this.failure;
    return this.entries.find(({ incident }) => incident.id === id) ?? null;
  }

  /** Adds samples of this node, one row a slot, ending at noon. */
  fill(count: number, values: (at: number) => Record<SeriesKey, number | null>): void {
    const rows = Array.from({ length: count }, (_, at) => ({
      slotMs: noonMs - (count - 1 - at) * this.intervalMs,
      values: new Map(Object.entries(values(at))),
    }));
    this.rows.set(nodeId(this.node), rows);
  }

  startedAtMs = (): number => this.startedMs;
  ready = (): boolean => this.isReady;
  components = (): Record<string, ComponentStatus> => this.parts;
  collectionIntervalMs = (): number => this.intervalMs;
  retentionDays = (): number => this.keptDays;
  tierRetentionDays = (): number => this.keptDays;
  indexes = (): IndexDefinition[] => this.definitions;
  latest = (): Row | undefined => this.rows.get(nodeId(this.node))?.at(-1);
  rules = (): Sourced<Rule>[] => this.ruleList;
  sources = (): SourceState[] => this.sourceList;
  incidents = (): Incident[] => this.incidentList;
  effectiveConfig = (): Record<string, unknown> => this.config;

  async readSeries(query: {
    node: string;
    selectors: readonly SeriesSelector[];
    fromMs: number;
    toMs: number;
  }): Promise<SeriesResult> {
    this.reads++;
    await this.#answer();
    const rows = (this.rows.get(query.node) ?? []).filter(
      ({ slotMs }) => slotMs >= query.fromMs && slotMs <= query.toMs,
    );
    const known = new Set(rows.flatMap(({ values }) => [...values.keys()]));
    const keys = [...known].filter((key) => query.selectors.some((asked) => selects(asked, key)));
    return {
      timesMs: Float64Array.from(rows, ({ slotMs }) => slotMs),
      columns: new Map(keys.map((key) => [key, rows.map(({ values }) => values.get(key) ?? null)])),
    };
  }

  async readBuckets(query: {
    node: string;
    selectors: readonly SeriesSelector[];
    fromMs: number;
    toMs: number;
    stepMs: number;
  }): Promise<BucketResult> {
    const endMs = (Math.floor(query.toMs / query.stepMs) + 1) * query.stepMs;
    const fromMs = Math.floor(query.fromMs / query.stepMs) * query.stepMs;
    return bucketsOf(await this.readSeries({ ...query, fromMs, toMs: endMs - 1 }), query.stepMs);
  }

  async seriesKeys(query: { node: string; fromMs: number; toMs: number }): Promise<SeriesKey[]> {
    await this.#answer();
    const rows = (this.rows.get(query.node) ?? []).filter(
      ({ slotMs }) => slotMs >= query.fromMs && slotMs <= query.toMs,
    );
    return [...new Set(rows.flatMap(({ values }) => [...values.keys()]))].sort();
  }

  async nodes(): Promise<NodeInfo[]> {
    await this.#answer();
    return [{ ...this.node, version: this.version, lastSeenMs: noonMs }, ...this.others];
  }

  async configOf(node: string): Promise<Record<string, unknown> | null> {
    await this.#answer();
    return this.configs.get(node) ?? null;
  }

  mutes(): Promise<(incident: Incident) => Mute | null> {
    return Promise.resolve(({ status }) => (status === "firing" ? this.mute : null));
  }

  async silences(): Promise<Silence[]> {
    await this.#answer();
    return this.silenceList;
  }

  async silence(silence: Silence): Promise<void> {
    await this.#answer();
    this.silenceList.push(silence);
  }

  async endSilence(id: string): Promise<Silence | null> {
    await this.#answer();
    const at = this.silenceList.findIndex((one) => one.id === id);
    const found = this.silenceList[at];
    if (found === undefined) return null;
    const ended = { ...found, endsAtMs: noonMs };
    this.silenceList[at] = ended;
    return ended;
  }

  acknowledge(id: string, by: string): Promise<Incident | null> {
    const at = this.incidentList.findIndex((one) => one.id === id);
    const found = this.incidentList[at];
    if (found === undefined) return Promise.resolve(null);
    const acknowledged = { ...found, acknowledgedBy: by };
    this.incidentList[at] = acknowledged;
    return Promise.resolve(acknowledged);
  }

  acknowledgeElsewhere(id: string, by: string): Promise<boolean> {
    if (this.elsewhere.has(id)) this.elsewhere.set(id, by);
    return Promise.resolve(this.elsewhere.has(id));
  }

  readLink(token: string): Promise<LinkReading> {
    return Promise.resolve(this.links.get(token) ?? { ok: false, reason: "forged" });
  }

  actionEnd = ({ action }: ActionClaim): ActionEnd | null =>
    action === "ack" ? null : { untilMs: noonMs + 3_600_000, timezone: "Asia/Shanghai" };

  actionTimezone = (): string => "Asia/Shanghai";

  async act(link: Extract<LinkReading, { ok: true }>, by: string): Promise<Acted> {
    await this.#answer();
    this.acted.push({ claim: link.claim, by });
    return (
      this.actedAs ?? { state: "done", by, untilMs: this.actionEnd(link.claim)?.untilMs ?? null }
    );
  }

  acceptAlert(alert: ForeignAlert): Promise<ForeignOutcome> {
    this.accepted.push(alert);
    return Promise.resolve(this.outcome);
  }

  async takeReports(alerts: readonly ReportedAlert[]): Promise<void> {
    await this.#answer();
    this.reported.push(...alerts);
  }

  async channels(): Promise<ChannelState[]> {
    await this.#answer();
    return this.channelList;
  }

  testChannel(name: string): Promise<Outcome | null> {
    const known = this.channelList.some(({ spec }) => spec.value.name === name);
    return Promise.resolve(known ? this.testOutcome : null);
  }

  async receipts(query: { channel?: string; alert?: string; limit: number }): Promise<Receipt[]> {
    await this.#answer();
    return this.receiptList
      .filter(({ channel }) => query.channel === undefined || channel === query.channel)
      .filter(({ alert }) => query.alert === undefined || alert === query.alert)
      .sort((a, b) => b.createdAtMs - a.createdAtMs)
      .slice(0, query.limit);
  }

  async metrics(): Promise<string> {
    await this.#answer();
    return "# TYPE up gauge\nup 1\n";
  }

  async #answer(): Promise<void> {
    await this.gate;
    if (this.failure !== null) throw this.failure;
  }
}
