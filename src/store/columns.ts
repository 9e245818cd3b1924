import { type SeriesKey, type SeriesSelector, selects } from "../core/series.ts";
import type { Block, StoredBlock } from "./block.ts";
import { blockHeader, decodeColumns, unscaled } from "./codec.ts";
import type { BlockSchema, SchemaColumn, SeriesData } from "./contract.ts";
import { type DaySchemas, schemaNumbered } from "./schema-book.ts";
import { slotGrid } from "./slots.ts";

/** Says of a series whether it is asked for. */
export type SeriesFilter = (key: SeriesKey) => boolean;

/** The series that at least one of the selectors asks for. */
export function filterOf(selectors: readonly SeriesSelector[]): SeriesFilter {
  return (key) => selectors.some((selector) => selects(selector, key));
}

function chosen(columns: readonly SchemaColumn[], wants: SeriesFilter): readonly number[] {
  return [...columns.keys()].filter((position) => wants(columns[position]?.[0] ?? ""));
}

/** Positions of the asked columns of a schema; remembered, for a schema serves many blocks. */
export type ColumnChooser = (schema: BlockSchema) => readonly number[];

export function createColumnChooser(wants: SeriesFilter): ColumnChooser {
  const known = new Map<BlockSchema, readonly number[]>();
  return (schema) => {
    const positions = known.get(schema) ?? chosen(schema.columns, wants);
    known.set(schema, positions);
    return positions;
  };
}

/** What an encoded block has of the asked columns. Throws BLOCK_INVALID. */
export function fromEncoded(
  { blob, ...span }: StoredBlock,
  schema: BlockSchema,
  chooser: ColumnChooser,
): SeriesData {
  const grid = slotGrid(span, schema.stepMs);
  const wanted = chooser(schema);
  const shape = { columns: schema.columns.length, slots: grid.count };
  const { slots, columns } = decodeColumns(blob, shape, wanted);
  return {
    timesMs: slots.map((position) => grid.toMs(position)),
    columns: new Map(
      wanted.map((position, index) => {
        const [key, decimals] = schema.columns[position] ?? ["", 0];
        return [key, (columns[index] ?? []).map((value) => unscaled(value, decimals))];
      }),
    ),
  };
}

/** Like `fromEncoded`, with the schema the block names. */
export function fromStored(
  stored: StoredBlock,
  schemas: DaySchemas,
  chooser: ColumnChooser,
): SeriesData {
  const schema = schemaNumbered(schemas, blockHeader(stored.blob).schema);
  return fromEncoded(stored, schema, chooser);
}

/** What an open block has of the asked columns. */
export function fromRows(block: Block, wants: SeriesFilter): SeriesData {
  const timesMs = [...block.rows.keys()].sort((a, b) => a - b);
  const wanted = chosen(block.columns, wants);
  return {
    timesMs,
    columns: new Map(
      wanted.map((position) => {
        const [key, decimals] = block.columns[position] ?? ["", 0];
        const values = timesMs.map((timeMs) => block.rows.get(timeMs)?.[position] ?? null);
        return [key, values.map((value) => unscaled(value, decimals))];
      }),
    ),
  };
}

/** The times of two readings as one, and where in each of them a time is; -1: not there. */
function mergeTimes(
  under: readonly number[],
  winner: readonly number[],
): { readonly timesMs: number[]; readonly inUnder: number[]; readonly inWinner: number[] } {
  const timesMs: number[] = [];
  const inUnder: number[] = [];
  const inWinner: number[] = [];
  let [low, high] = [0, 0];
  while (low < under.length || high < winner.length) {
    const lowMs = under[low] ?? Number.POSITIVE_INFINITY;
    const highMs = winner[high] ?? Number.POSITIVE_INFINITY;
    timesMs.push(Math.min(lowMs, highMs));
    inUnder.push(lowMs <= highMs ? low++ : -1);
    inWinner.push(highMs <= lowMs ? high++ : -1);
  }
  return { timesMs, inUnder, inWinner };
}

/** Two readings of the same time as one: what both have counts as `winner` says, what it misses stays. */
export function overlay(under: SeriesData, winner: SeriesData): SeriesData {
  if (under.timesMs.length === 0) return winner;
  if (winner.timesMs.length === 0) return under;
  const { timesMs, inUnder, inWinner } = mergeTimes(under.timesMs, winner.timesMs);
  const keys = new Set([...under.columns.keys(), ...winner.columns.keys()]);
  const columns = new Map<SeriesKey, readonly (number | null)[]>();
  for (const key of keys) {
    const won = winner.columns.get(key);
    const lost = under.columns.get(key);
    columns.set(
      key,
      timesMs.map((_, at) => won?.[inWinner[at] ?? -1] ?? lost?.[inUnder[at] ?? -1] ?? null),
    );
  }
  return { timesMs, columns };
}

/** Joins readings of one stretch of time after the other. */
export interface Joiner {
  add(part: SeriesData): void;
  /** Everything added; a series without any value has no column. */
  result(): SeriesData;
}

/** Which of some ascending times lie in a range: the first, and the one after the last. */
function cut(timesMs: readonly number[], fromMs: number, toMs: number): readonly [number, number] {
  const begin = timesMs.findIndex((timeMs) => timeMs >= fromMs);
  const last = timesMs.findLastIndex((timeMs) => timeMs <= toMs);
  return begin < 0 || last < begin ? [0, 0] : [begin, last + 1];
}

/** Keeps what lies between two times, both inclusive. */
export function createJoiner(fromMs: number, toMs: number): Joiner {
  const timesMs: number[] = [];
  const columns = new Map<SeriesKey, (number | null)[]>();
  return {
    add: (part) => {
      const [begin, end] = cut(part.timesMs, fromMs, toMs);
      for (const [key, values] of part.columns) {
        const column = columns.get(key) ?? [];
        columns.set(key, column);
        while (column.length < timesMs.length) column.push(null);
        for (let at = begin; at < end; at++) column.push(values[at] ?? null);
      }
      for (const timeMs of part.timesMs.slice(begin, end)) timesMs.push(timeMs);
    },
    result: () => {
      const filled = [...columns].filter(([, column]) => column.some((value) => value !== null));
      for (const [, column] of filled) while (column.length < timesMs.length) column.push(null);
      return { timesMs, columns: new Map(filled) };
    },
  };
}
