import { setImmediate } from "node:timers/promises";
import { AgentError } from "../../core/errors.ts";
import { type SeriesKey, seriesKey, type SeriesSelector } from "../../core/series.ts";
import type { StoredBlock } from "../write/block.ts";
import {
  type ColumnChooser,
  createColumnChooser,
  filterOf,
  fromColumns,
  fromStored,
  type SeriesFilter,
} from "./columns.ts";
import { type Backend, type DayFields, type DayValues, rowsName } from "../contract.ts";
import { type DayColumn, decodeColumn, decodeRows } from "../format/day-columns.ts";
import type { Readings } from "./readings.ts";
import type { SchemaBook } from "../schema-book.ts";
import { isSeries } from "./series-keys.ts";
import { blockName, type Span } from "../slots.ts";
import type { Unreadable } from "../unreadable.ts";

export interface DayReadDeps {
  readonly backend: Backend;
  readonly book: SchemaBook;
  readonly unreadable: Unreadable;
}

/** What is asked for, in the forms the parts of a read need. */
export interface Asked {
  /** `cluster/name`. */
  readonly node: string;
  readonly wants: SeriesFilter;
  readonly choose: ColumnChooser;
  /** The series that are asked for by their whole name. */
  readonly keys: readonly SeriesKey[];
  /** Whether others are asked for too, whose names have to be looked up. */
  readonly starred: boolean;
}

/** What some selectors ask for. */
export function askedFor(node: string, selectors: readonly SeriesSelector[]): Asked {
  const wants = filterOf(selectors);
  const keys = selectors.flatMap(({ index, labels }) =>
    labels === "*" ? [] : [seriesKey(index, labels)],
  );
  const starred = selectors.some(({ labels }) => labels === "*");
  return { node, wants, choose: createColumnChooser(wants), keys: [...new Set(keys)], starred };
}

/** Every series of a node. */
export function askedForAll(node: string): Asked {
  const wants = (): boolean => true;
  return { node, wants, choose: createColumnChooser(wants), keys: [], starred: true };
}

/** The blocks of one day that are asked for, in rising order of who counts. */
export interface DayRange {
  readonly day: number;
  readonly spans: readonly Span[];
}

/** Notes what cannot be decoded; everything else goes on. */
function orNoted<T>(
  { unreadable }: DayReadDeps,
  place: { readonly node: string; readonly day: number; readonly block: string },
  decode: () => T,
): T | null {
  try {
    return decode();
  } catch (cause) {
    if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
    unreadable.note(place, cause);
    return null;
  }
}

function createBlockDecoder(deps: DayReadDeps) {
  return async (day: number, blocks: readonly StoredBlock[], asked: Asked): Promise<Readings[]> => {
    if (blocks.length === 0) return [];
    const { node, choose } = asked;
    let schemas = await deps.book.of(node, day);
    if (blocks.some(({ blob: [, number] }) => !schemas.taken.has(number ?? 0)))
      schemas = await deps.book.of(node, day, true);
    return blocks.flatMap((block) => {
      const place = { node, day, block: blockName(block) };
      const read = orNoted(deps, place, () => fromStored(block, schemas, choose));
      return read === null ? [] : [read];
    });
  };
}

/** Columns of a day as they were read, with their rows. */
interface StoredColumns {
  readonly day: number;
  readonly names: readonly string[];
  readonly values: DayValues;
}

/** Columns that are decoded in one go, a few milliseconds. */
const columnsAtOnce = 16;

async function decodeColumns(
  deps: DayReadDeps,
  { day, names, values }: StoredColumns,
  { node }: Asked,
): Promise<Readings[]> {
  const [blob] = values;
  if (blob === null || blob === undefined) return [];
  const rows = orNoted(deps, { node, day, block: rowsName }, () => decodeRows(day, blob));
  if (rows === null) return [];
  const columns = new Map<SeriesKey, DayColumn>();
  for (const [index, name] of names.entries()) {
    const value = values[index] ?? null;
    if (index === 0 || value === null) continue;
    const column = orNoted(deps, { node, day, block: name }, () => decodeColumn(value, rows));
    if (column !== null) columns.set(name, column);
    if (index % columnsAtOnce === 0) await setImmediate();
  }
  return [fromColumns(day, rows, columns)];
}

/** Reads columns of days whose series are asked for by a star, which have to be looked up first. */
function createStarReader({ backend }: DayReadDeps) {
  return async (days: readonly number[], { node, wants }: Asked): Promise<StoredColumns[]> => {
    const all = await Promise.all(days.map((day) => backend.names(node, day, "columns")));
    const wanted = days.map((day, index): DayFields => {
      const names = (all[index] ?? []).filter((name) => isSeries(name) && wants(name));
      return { part: "columns", day, names: [rowsName, ...names] };
    });
    const values = await backend.read(node, wanted);
    return wanted.map(({ day, names }, index) => ({ day, names, values: values[index] ?? [] }));
  };
}

/** What a day has, in rising order of who counts. */
export type DayParts = readonly Readings[];

/**
 * Reads what the backend has of some days: in one round trip, or in three when series are asked for by a star. What
 * cannot be decoded is noted and left out. Blocks are read before columns: a day that is swapped meanwhile is seen.
 */
export function createDayReader(
  deps: DayReadDeps,
): (ranges: readonly DayRange[], asked: Asked) => Promise<readonly DayParts[]> {
  const { backend } = deps;
  const decodeBlocks = createBlockDecoder(deps);
  const readStarred = createStarReader(deps);
  return async (ranges, asked) => {
    const rowsAndKeys = [rowsName, ...asked.keys];
    const wanted = ranges.flatMap(({ day, spans }): DayFields[] => [
      { part: "blocks", day, names: spans.map(blockName) },
      { part: "columns", day, names: rowsAndKeys },
    ]);
    const values = await backend.read(asked.node, wanted);
    const columns = new Map<number, StoredColumns>();
    for (const [index, { day }] of ranges.entries())
      columns.set(day, { day, names: rowsAndKeys, values: values[2 * index + 1] ?? [] });
    if (asked.starred) {
      const compacted = [...columns.values()].filter(
        ({ values: [rows] }) => rows instanceof Uint8Array,
      );
      const days = compacted.map(({ day }) => day);
      for (const one of await readStarred(days, asked)) columns.set(one.day, one);
    }
    const parts: DayParts[] = [];
    for (const [index, { day, spans }] of ranges.entries()) {
      const blobs = values[2 * index] ?? [];
      const stored = spans.flatMap((span, at) => {
        const blob = blobs[at] ?? null;
        return blob === null ? [] : [{ ...span, blob }];
      });
      const found = columns.get(day);
      const under = found === undefined ? [] : await decodeColumns(deps, found, asked);
      parts.push([...under, ...(await decodeBlocks(day, stored, asked))]);
      // A day may take some milliseconds to decode, during which nothing else runs.
      await setImmediate();
    }
    return parts;
  };
}
