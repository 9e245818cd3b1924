import type { Meter, ReceiptPort, SharedOutbox } from "../core/delivery.ts";
import type { AcknowledgementPort, SigningKeyPort } from "../core/action.ts";
import type { HistoryPort } from "../core/history.ts";
import type { NodeInfo } from "../core/node.ts";
import type { ComponentStatus, StatePort } from "../core/ports.ts";
import type { SilencePort } from "../core/silence.ts";
import type { BlockName } from "./slots.ts";
import type { Row, SeriesKey, SeriesSelector } from "../core/series.ts";
import type { RedisSettings } from "./redis/settings.ts";

/** A column of a block: canonical series key, decimal digits kept, unit. */
export type SchemaColumn = readonly [key: SeriesKey, decimals: number, unit: string];

/** What the columns and slots of a block mean; kept once a day beside the blocks as field `s<number>`. */
export interface BlockSchema {
  /** Slot length. */
  readonly stepMs: number;
  readonly columns: readonly SchemaColumn[];
}

/** One encoded block on its way to a backend. */
export interface BlockWrite {
  /** Days since 1970-01-01 UTC. */
  readonly day: number;
  readonly block: BlockName;
  readonly blob: Uint8Array;
}

/** What is kept of a node and day, each a map of names to bytes: blocks, columns of the closed day, the tier. */
export type DayPart = "blocks" | "columns" | "tier";

/** A part of a day of a node. */
export interface DayPlace {
  /** `cluster/name`. */
  readonly node: string;
  readonly day: number;
  readonly part: DayPart;
}

/** Values wanted of one part of a day. */
export interface DayFields {
  readonly part: DayPart;
  readonly day: number;
  readonly names: readonly string[];
}

/** Values by the names they were asked for, null where there is none. */
export type DayValues = readonly (Uint8Array | null)[];

/** The name under which the columns of a day say which rows there are; no series is called so. */
export const rowsName = "@rows";

/** Blocks of a closed day, and the columns that take their place. */
export interface DaySwap {
  /** The blocks as they were read. */
  readonly blocks: ReadonlyMap<BlockName, Uint8Array>;
  /** `@rows` of the columns as it was read. */
  readonly rows: Uint8Array | null;
  /** The new columns, with `@rows`, whose bytes are never the same twice. */
  readonly columns: ReadonlyMap<string, Uint8Array>;
  /** Unix seconds. */
  readonly expireAt: number;
}

/**
 * What a storage backend offers. `node` is always `cluster/name`. Everything rejects with STORE_UNAVAILABLE when the
 * backend is not there, within its own deadline; nothing queues.
 */
export interface Backend {
  readonly name: string;
  /** Begins to connect; returns at once. */
  start(): void;
  stop(): Promise<void>;
  status(): ComponentStatus;
  /** Another number after each (re)connection: what was known of the contents may be outdated. */
  epoch(): number;
  /** Goes over to changed settings in place. Throws CONFIG_INVALID, and stays as it is, when they cannot be used. */
  readonly reconnect?: (settings: RedisSettings) => void;
  /** How far the backend's clock is ahead of this node's, in milliseconds; null: it does not tell. */
  readonly aheadMs?: () => Promise<number | null>;

  /**
   * Values of some days in the order asked. Parts are looked at in that order: who asks for blocks before columns sees
   * the rows of a day that is swapped meanwhile at least once. What is there and is no such part counts as nothing.
   */
  read(node: string, wanted: readonly DayFields[]): Promise<readonly DayValues[]>;
  /** Has it said, each time, that something else stands in the place of a part; not there: that cannot be. */
  onForeign?(listener: (place: DayPlace) => void): void;
  /** The names of a part of a day that have a value; of `blocks`, without the schemas. */
  names(node: string, day: number, part: DayPart): Promise<readonly string[]>;
  /** Writes blocks whole; the last writer wins. The keys expire at the given Unix second. */
  writeBlocks(
    node: string,
    writes: readonly BlockWrite[],
    expireAt: (day: number) => number,
  ): Promise<void>;
  /** Writes values of a day's tier, which expires as a whole at a Unix second. */
  writeTier(
    node: string,
    day: number,
    values: ReadonlyMap<string, Uint8Array>,
    expireAt: number,
  ): Promise<void>;
  /**
   * Puts columns in the place of blocks, at once and whole, and keeps the day's schemas. False, and nothing is changed,
   * when a block or `@rows` is no longer as it was read.
   */
  compact(node: string, day: number, swap: DaySwap): Promise<boolean>;
  /** Sets anew when a part of some days expires, after the retention has changed; blocks take their columns along. */
  expireDays(
    node: string,
    part: "blocks" | "tier",
    days: readonly number[],
    expireAt: (day: number) => number,
  ): Promise<void>;
  /** The day's schemas by number, as JSON texts. */
  readSchemas(node: string, day: number): Promise<ReadonlyMap<number, string>>;
  /** Writes a schema unless the number is taken; says whether it was free. */
  addSchema(
    node: string,
    day: number,
    schema: { number: number; json: string; expireAt: number },
  ): Promise<boolean>;

  /** Alert states of a node. */
  states(node: string): StatePort;
  readonly receipts: ReceiptPort;
  /** Of the whole fleet. */
  readonly silences: SilencePort;
  readonly acknowledgements: AcknowledgementPort;
  /** What links in messages are signed with. */
  readonly signingKeys: SigningKeyPort;
  /** Null: no other agent shares it, so that each agent's own outbox is all there is. */
  readonly outbox: SharedOutbox | null;
  /** Of the whole fleet. */
  readonly history: HistoryPort;
  /** What is sent to robots by all who share the backend. */
  readonly meter: Meter;
  /** Says that a node lives. */
  heartbeat(info: NodeInfo): Promise<void>;
  /** Every node seen within the retention. */
  nodes(): Promise<readonly NodeInfo[]>;
  /** Small documents of a node (`effective` configuration, last good `admin` answer), kept for the retention. */
  putDocument(node: string, kind: string, json: string): Promise<void>;
  getDocument(node: string, kind: string): Promise<string | null>;
}

/** What a backend offers for the days of nodes: blocks and schemas, columns, tiers. */
export type DayStore = Pick<
  Backend,
  | "read"
  | "onForeign"
  | "names"
  | "writeBlocks"
  | "writeTier"
  | "compact"
  | "expireDays"
  | "readSchemas"
  | "addSchema"
>;

export interface SeriesQuery {
  readonly node: string;
  readonly selectors: readonly SeriesSelector[];
  /** Both ends inclusive, Unix milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Columns over shared slot times, in time order. A gap is a missing time; a missing value is null. */
export interface SeriesData {
  readonly timesMs: Float64Array;
  readonly columns: ReadonlyMap<SeriesKey, readonly (number | null)[]>;
}

/** A question for buckets that begin at multiples of the step. */
export interface BucketQuery extends SeriesQuery {
  /** A multiple of five minutes, in milliseconds: the tier has no finer points. */
  readonly stepMs: number;
}

/** What one series had in each bucket; sums, and with them averages, are exact. Null: no sample. */
export interface BucketColumn {
  readonly counts: readonly number[];
  readonly sums: readonly number[];
  readonly mins: readonly (number | null)[];
  readonly maxs: readonly (number | null)[];
}

/** Buckets `[b, b + step)` in time order, named by their beginning; one in which no series has a sample is not there. */
export interface BucketData {
  readonly timesMs: readonly number[];
  readonly columns: ReadonlyMap<SeriesKey, BucketColumn>;
}

/** A node and a time, both ends inclusive, Unix milliseconds. */
export type SpanQuery = Omit<SeriesQuery, "selectors">;

/** What the agent's own metrics tell of its store. */
export interface StoreCounters {
  /** Blocks not yet at the backend. */
  readonly dirtyBlocks: number;
  /** Stored blocks that could not be read. */
  readonly unreadableBlocks: number;
  /** Times that blocks of a closed day were swapped for columns. */
  readonly compactedDays: number;
  /** Times that this could not be done, so that the blocks stay. */
  readonly failedCompactions: number;
}

/** How a series went until a time. */
export interface RecentQuery {
  readonly key: SeriesKey;
  /** The end, inclusive. */
  readonly toMs: number;
  readonly spanMs: number;
  /** With more samples in the span, several are told as one. */
  readonly maxValues: number;
  /** Which of several that is: the highest or the lowest. */
  readonly aggregate: "max" | "min";
}

/** Values at even distances, oldest first, from the first one there is to the end of the span; null where missing. */
export interface RecentData {
  readonly stepMs: number;
  readonly values: readonly (number | null)[];
}

/** The series of this node on their way to the backend, and of any node on their way back. */
export interface SeriesStore {
  /** Takes a tick's row into memory; never blocks, never fails. */
  append(row: Row): void;
  /** Takes up what an earlier run could not send. Never rejects. */
  restore(): Promise<void>;
  /** Sends what is dirty; what could not be sent stays dirty. Never rejects. */
  flush(): Promise<void>;
  /** Sends what is dirty once more, and keeps on disk what could not be sent. Never rejects. */
  close(): Promise<void>;
  /** Own node: memory completes and wins over the backend, and stands alone while that is away. */
  read(query: SeriesQuery): Promise<SeriesData>;
  /** The same in buckets. Only whole buckets: the ends are moved outwards to multiples of the step. */
  readBuckets(query: BucketQuery): Promise<BucketData>;
  /** The series a node may have samples of, sorted, without reading these. */
  seriesKeys(query: SpanQuery): Promise<readonly SeriesKey[]>;
  /** The course of one own series of late, as far as it is in memory. */
  recent(query: RecentQuery): RecentData;
  /** The newest row. */
  latest(): Row | undefined;
  /**
   * Aggregates what is closed into the tier, and makes columns of closed days; milliseconds until it wants to be called
   * again. Rejects with STORE_UNAVAILABLE; ends early, with the reason of the signal, when it is to stop.
   */
  keep(signal?: AbortSignal): Promise<number>;
  counters(): StoreCounters;
}
