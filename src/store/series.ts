import type { Clock, Log } from "../core/ports.ts";
import type { IndexDefinition, Row, SeriesKey } from "../core/series.ts";
import { type BacklogDeps, createBacklog } from "./backlog.ts";
import { columnOf } from "./block.ts";
import { createColumnChooser, fromEncoded, fromRows } from "./columns.ts";
import type { Backend, SeriesStore } from "./contract.ts";
import { createBucketReader } from "./buckets.ts";
import { createFlusher } from "./flush.ts";
import { createHead, type Head, type Held, isDirty } from "./head.ts";
import { createReader } from "./read.ts";
import { createSeriesKeys } from "./series-keys.ts";
import { createSchemaBook } from "./schema-book.ts";
import { createSchemaWriter } from "./schema-writer.ts";
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

function valuesOf({ content }: Held, key: SeriesKey): readonly (number | null)[] {
  const wants = (other: SeriesKey): boolean => other === key;
  const part =
    content.form === "rows"
      ? fromRows(content.block, wants)
      : fromEncoded(content.frozen, content.frozen.schema, createColumnChooser(wants));
  return part.columns.get(key) ?? part.timesMs.map(() => null);
}

/** The last values of a series in memory, oldest first, from where it begins. */
function recentValues(head: Head, key: SeriesKey, count: number): readonly (number | null)[] {
  const found: (readonly (number | null)[])[] = [];
  let length = 0;
  for (const held of head.all().toReversed()) {
    if (length >= count) break;
    const values = valuesOf(held, key);
    found.unshift(values);
    length += values.length;
  }
  const values = found.flat().slice(count > 0 ? -count : length);
  const first = values.findIndex((value) => value !== null);
  return first < 0 ? [] : values.slice(first);
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
  const read = createReader({ backend, node, clock, head, book, unreadable });
  const backlog =
    deps.backlog === null ? null : createBacklog({ ...deps.backlog, backend, head, clock, log });
  const flusher = createFlusher({
    backlog,
    backend,
    node,
    clock,
    log,
    head,
    book,
    schemas,
    unreadable,
    retentionDays,
    expireAt,
  });
  let newest: Row | undefined;
  return {
    append: (row) => {
      head.put(row, deps.stepMs(), (key) => columnOf(key, definitions()));
      newest = row;
    },
    restore: async () => backlog?.load(),
    flush: () => flusher.flush(),
    close: async () => {
      await flusher.flush();
      await backlog?.close();
    },
    read,
    readBuckets: createBucketReader(read),
    seriesKeys: createSeriesKeys({ backend, node, head, book }),
    recent: (key, count) => recentValues(head, key, count),
    latest: () => newest,
    counters: () => ({
      dirtyBlocks: head.all().filter(isDirty).length,
      unreadableBlocks: unreadable.count,
    }),
  };
}
