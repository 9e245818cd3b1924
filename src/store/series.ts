import type { Clock, Log } from "../core/ports.ts";
import type { IndexDefinition, Row } from "../core/series.ts";
import { type BacklogDeps, createBacklog } from "./write/backlog.ts";
import { columnOf, gridStepMs } from "./write/block.ts";
import type { Backend, SeriesStore } from "./contract.ts";
import { createBucketReader } from "./read/bucket-read.ts";
import { createTierReader } from "./read/tier-read.ts";
import { createTierWriter, type TierWriterDeps } from "./keep/tier.ts";
import { type CompactDeps, createCompactor } from "./keep/compact.ts";
import { createFlusher } from "./write/flush.ts";
import { createHead, isDirty } from "./write/head.ts";
import { createKeeper, type Keeper } from "./keep/keeper.ts";
import { createDaysReader, createReader, type ReadDeps } from "./read/samples.ts";
import { recentData } from "./read/recent.ts";
import { createSeriesKeys } from "./read/series-keys.ts";
import { createSchemaBook } from "./schema-book.ts";
import { createSchemaWriter } from "./write/schema-writer.ts";
import { placeInFleet } from "./spread.ts";
import { dayMs } from "./slots.ts";
import { createUnreadable } from "./unreadable.ts";

export interface SeriesStoreDeps {
  readonly backend: Backend;
  /** `cluster/name` of this node. */
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly definitions: () => readonly IndexDefinition[];
  readonly retentionDays: () => number;
  /** How long the tier is kept. */
  readonly tierRetentionDays: () => number;
  /** The interval of collection. */
  readonly stepMs: () => number;
  /** Where blocks that wait are kept on disk; null: in memory alone. */
  readonly backlog: Pick<BacklogDeps, "dir" | "name" | "maxBytes"> | null;
}

/** Day keys of a fleet expire within an hour of each other, not in one second. */
const expirySpreadSeconds = 3_600;

/** When the blocks of a day expire, Unix seconds: after its end and the retention, at the node's own time of the hour. */
export function expirySeconds(node: string, day: number, retentionDays: number): number {
  return (
    ((day + 1 + retentionDays) * dayMs) / 1_000 +
    Math.floor(placeInFleet(node) * expirySpreadSeconds)
  );
}

/** Definitions by name, rebuilt only when the list is another one. */
function createLookup(list: () => readonly IndexDefinition[]) {
  let last: readonly IndexDefinition[] | null = null;
  let byName: ReadonlyMap<string, IndexDefinition> = new Map();
  return (): ReadonlyMap<string, IndexDefinition> => {
    const current = list();
    if (current !== last) byName = new Map(current.map((index) => [index.name, index]));
    last = current;
    return byName;
  };
}

type CareDeps = SeriesStoreDeps &
  Pick<CompactDeps, "book" | "unreadable" | "expireAt"> &
  Pick<TierWriterDeps, "head" | "days" | "tier">;

/** What is done with blocks after they are closed. */
function createCare(deps: CareDeps): Keeper {
  const { node, tierRetentionDays } = deps;
  const tier = createTierWriter({
    ...deps,
    retentionDays: tierRetentionDays,
    expireAt: (day) => expirySeconds(node, day, tierRetentionDays()),
  });
  return createKeeper({ ...deps, tier, compactor: createCompactor({ ...deps, tier }) });
}

/** How this node and others are read. */
function createReading(deps: ReadDeps) {
  const days = createDaysReader(deps);
  const tier = createTierReader(deps);
  const read = createReader(days);
  const readBuckets = createBucketReader({ ...deps, days, tier });
  return { days, tier, read, readBuckets, seriesKeys: createSeriesKeys(deps) };
}

/** The series of this node, in memory and at a backend, and those of others. */
export function createSeriesStore(deps: SeriesStoreDeps): SeriesStore {
  const { backend, node, clock, log, retentionDays } = deps;
  const expireAt = (day: number): number => expirySeconds(node, day, retentionDays());
  const definitions = createLookup(deps.definitions);
  const head = createHead();
  const unreadable = createUnreadable(log);
  backend.onForeign?.(({ part, ...day }) =>
    unreadable.note({ ...day, block: part }, "what is there is of another type; left alone"),
  );
  const book = createSchemaBook(backend);
  const schemas = createSchemaWriter({ backend, node, book, log, expireAt });
  const shared = { backend, node, clock, log, head, book, unreadable, retentionDays, expireAt };
  const { days, tier, ...reading } = createReading(shared);
  const keeper = createCare({ ...deps, ...shared, days, tier });
  const backlog =
    deps.backlog === null ? null : createBacklog({ ...deps.backlog, head, clock, log });
  const flusher = createFlusher({ ...shared, backlog, schemas });
  let newest: Row | undefined;
  return {
    ...reading,
    append: (row) => {
      head.put(row, deps.stepMs(), (key) => columnOf(key, definitions()));
      newest = row;
    },
    restore: async () => backlog?.load(),
    flush: () => flusher.flush(),
    close: async () => {
      await flusher.drain();
      await backlog?.close();
    },
    recent: (query) => recentData(head.all(), query, gridStepMs(deps.stepMs())),
    latest: () => newest,
    keep: (signal) => keeper.keep(signal),
    counters: () => ({
      ...keeper.counters(),
      dirtyBlocks: head.all().filter(isDirty).length,
      unreadableBlocks: unreadable.count,
    }),
  };
}
