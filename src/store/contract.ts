import type { Outbox, ReceiptPort } from "../core/delivery.ts";
import type { NodeInfo } from "../core/node.ts";
import type { ComponentStatus, StatePort } from "../core/ports.ts";
import type { Row, SeriesKey, SeriesSelector } from "../core/series.ts";

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
  /** 0–143: which ten minutes of the day. */
  readonly block: number;
  readonly blob: Uint8Array;
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

  /** The blobs of some blocks of a day, null where there is none, in the order asked. */
  readBlocks(
    node: string,
    day: number,
    blocks: readonly number[],
  ): Promise<readonly (Uint8Array | null)[]>;
  /** Writes blocks whole; the last writer wins. The keys expire at the given Unix second. */
  writeBlocks(
    node: string,
    writes: readonly BlockWrite[],
    expireAt: (day: number) => number,
  ): Promise<void>;
  /** Sets anew when the blocks of some days expire, after the retention has changed. */
  expireDays(
    node: string,
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
  readonly outbox: Outbox;
  /** Says that a node lives. */
  heartbeat(info: NodeInfo): Promise<void>;
  /** Every node seen within the retention. */
  nodes(): Promise<readonly NodeInfo[]>;
  /** Small documents of a node (`effective` configuration, last good `admin` answer), kept for the retention. */
  putDocument(node: string, kind: string, json: string): Promise<void>;
  getDocument(node: string, kind: string): Promise<string | null>;
}

export interface SeriesQuery {
  readonly node: string;
  readonly selectors: readonly SeriesSelector[];
  /** Both ends inclusive, Unix milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Columns over shared slot times, in time order. A gap is a missing time; a missing value is null. */
export interface SeriesData {
  readonly timesMs: readonly number[];
  readonly columns: ReadonlyMap<SeriesKey, readonly (number | null)[]>;
}

/** The series of this node on their way to the backend, and of any node on their way back. */
export interface SeriesStore {
  /** Takes a tick's row into memory; never blocks, never fails. */
  append(row: Row): void;
  /** Sends what is dirty; what could not be sent stays dirty. Never rejects. */
  flush(): Promise<void>;
  /** Own node: memory completes and wins over the backend, and stands alone while that is away. */
  read(query: SeriesQuery): Promise<SeriesData>;
  /** The last values of one own series in memory, oldest first. */
  recent(key: SeriesKey, count: number): readonly (number | null)[];
  /** The newest row. */
  latest(): Row | undefined;
  /** Blocks not yet at the backend, and stored blocks that could not be read. */
  counters(): { readonly dirtyBlocks: number; readonly unreadableBlocks: number };
}
