import type { Incident } from "../core/alert.ts";
import type { Receipt } from "../core/delivery.ts";
import type { Mute } from "../core/mute.ts";
import { errorText } from "../core/errors.ts";
import { nodeId, type NodeIdentity } from "../core/node.ts";
import type { ComponentStatus } from "../core/ports.ts";
import {
  parseSelector,
  type IndexDefinition,
  type Row,
  type SeriesKey,
  type SeriesSelector,
} from "../core/series.ts";
import { resample, type Spark } from "./sparkline.ts";

/** Columns of values over one list of times. */
export interface PageHistory {
  readonly timesMs: Float64Array;
  readonly columns: ReadonlyMap<SeriesKey, readonly (number | null)[]>;
}

/** What the page asks of the agent. */
export interface PageView {
  readonly node: NodeIdentity;
  readonly version: string;
  startedAtMs(): number;
  ready(): boolean;
  components(): Readonly<Record<string, ComponentStatus>>;
  indexes(): readonly IndexDefinition[];
  latest(): Row | undefined;
  readSeries(query: {
    node: string;
    selectors: readonly SeriesSelector[];
    fromMs: number;
    toMs: number;
  }): Promise<PageHistory>;
  sources(): readonly PageSource[];
  incidents(): readonly Incident[];
  mutes(): Promise<(incident: Incident) => Mute | null>;
  channels(): Promise<
    readonly {
      readonly spec: {
        readonly value: { readonly name: string; readonly type: string; readonly enabled: boolean };
        readonly source: string;
      };
      readonly status: ComponentStatus;
      readonly tokensLeft: number | null;
      readonly pending: number;
    }[]
  >;
  receipts(query: { limit: number }): Promise<readonly Receipt[]>;
}

/** A source of rules and channels. */
export interface PageSource {
  readonly source: string;
  readonly status: ComponentStatus;
  readonly revision: string | null;
  readonly rules: number;
  readonly channels: number;
}

/** One value with its last hour. */
export interface PageReading {
  readonly key: SeriesKey;
  readonly unit: string;
  readonly decimals: number;
  readonly help: string;
  readonly value: number | null;
  readonly spark: Spark;
}

export interface PageChannel {
  readonly name: string;
  readonly type: string;
  readonly enabled: boolean;
  readonly source: string;
  readonly status: ComponentStatus;
  readonly tokensLeft: number | null;
  readonly pending: number;
}

/** What came from somewhere that may not answer: the thing, or why there is none. */
export type Section<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

/** Everything the page shows, as plain data. */
export interface PageModel {
  readonly node: NodeIdentity;
  readonly version: string;
  readonly nowMs: number;
  readonly startedAtMs: number;
  readonly ready: boolean;
  readonly components: Readonly<Record<string, ComponentStatus>>;
  readonly readings: readonly PageReading[];
  /** Series that are not shown. */
  readonly hiddenReadings: number;
  /** Why the last hour is missing; null when it is there. */
  readonly historyError: string | null;
  readonly firing: readonly Incident[];
  /** Why people are told nothing of an incident; null: they are told. */
  readonly muteOf: (incident: Incident) => Mute | null;
  readonly ended: readonly Incident[];
  readonly sources: readonly PageSource[];
  readonly channels: Section<readonly PageChannel[]>;
  readonly deliveries: Section<readonly Receipt[]>;
}

const hourMs = 3_600_000;
/** Points of a sparkline at most: of a whole hour one for 40 s, about as many as it has pixels. */
const sparkPoints = 90;
/** More rows than this make a list for machines. */
const maxReadings = 60;
const maxEnded = 5;
const maxDeliveries = 8;

/** How a series looks whose index is not in the list any more. */
const unknownIndex = { unit: "", decimals: 1, help: "" };
const noHistory: PageHistory = { timesMs: new Float64Array(0), columns: new Map() };

async function section<T>(part: Promise<T>): Promise<Section<T>> {
  try {
    return { ok: true, value: await part };
  } catch (cause) {
    return { ok: false, error: errorText(cause) };
  }
}

function indexOf(key: SeriesKey): string {
  return key.split("{")[0] ?? key;
}

/** The keys of the last sample in the order of the list of indexes. */
function orderedKeys(view: PageView, latest: Row | undefined): SeriesKey[] {
  const order = new Map(view.indexes().map(({ name }, at) => [name, at]));
  const place = (key: SeriesKey): number => order.get(indexOf(key)) ?? order.size;
  return [...(latest?.values.keys() ?? [])].sort((a, b) => place(a) - place(b) || (a < b ? -1 : 1));
}

/** The values there are, from the first of them on: the first minutes of an agent fill the drawing too. */
function drawn(timesMs: Float64Array, values: readonly (number | null)[]): Spark {
  const [fromMs = 0] = timesMs;
  const lastMs = timesMs.at(-1) ?? fromMs;
  const stepMs = timesMs.length < 2 ? 1 : (lastMs - fromMs) / (timesMs.length - 1);
  const count = Math.min(sparkPoints, timesMs.length);
  return resample({ timesMs, values }, { fromMs, toMs: lastMs + stepMs }, count);
}

async function readingsOf(
  view: PageView,
  nowMs: number,
): Promise<Pick<PageModel, "readings" | "hiddenReadings" | "historyError">> {
  const latest = view.latest();
  const all = orderedKeys(view, latest);
  const keys = all.slice(0, maxReadings);
  const span = { fromMs: nowMs - hourMs, toMs: nowMs };
  const history = await section(
    view.readSeries({ node: nodeId(view.node), selectors: keys.map(parseSelector), ...span }),
  );
  const definitions = new Map(view.indexes().map((index) => [index.name, index]));
  const readings = keys.map((key): PageReading => {
    const { unit, decimals, help } = definitions.get(indexOf(key)) ?? unknownIndex;
    const { timesMs, columns } = history.ok ? history.value : noHistory;
    const spark = drawn(timesMs, columns.get(key) ?? []);
    return { key, unit, decimals, help, value: latest?.values.get(key) ?? null, spark };
  });
  return {
    readings,
    hiddenReadings: all.length - keys.length,
    historyError: history.ok ? null : history.error,
  };
}

async function channelsOf(view: PageView): Promise<PageChannel[]> {
  const channels = await view.channels();
  return channels.map(({ spec, ...state }) => ({
    name: spec.value.name,
    type: spec.value.type,
    enabled: spec.value.enabled,
    source: spec.source,
    ...state,
  }));
}

/** Gathers what the page shows; what does not answer is told on the page instead of failing it. */
export async function pageModel(view: PageView, nowMs: number): Promise<PageModel> {
  const [muteOf, readings, channels, deliveries] = await Promise.all([
    view.mutes(),
    readingsOf(view, nowMs),
    section(channelsOf(view)),
    section(view.receipts({ limit: maxDeliveries })),
  ]);
  const newest = [...view.incidents()].sort((a, b) => b.startedAtMs - a.startedAtMs);
  return {
    node: view.node,
    version: view.version,
    nowMs,
    startedAtMs: view.startedAtMs(),
    ready: view.ready(),
    components: view.components(),
    ...readings,
    muteOf,
    firing: newest.filter(({ status }) => status === "firing"),
    ended: newest.filter(({ status }) => status === "resolved").slice(0, maxEnded),
    sources: view.sources(),
    channels,
    deliveries: deliveries.ok
      ? { ok: true, value: deliveries.value.slice(0, maxDeliveries) }
      : deliveries,
  };
}
