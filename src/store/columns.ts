import { type SeriesKey, type SeriesSelector, selects } from "../core/series.ts";
import type { Block } from "./block.ts";
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
  { startMs, blob }: { readonly startMs: number; readonly blob: Uint8Array },
  schema: BlockSchema,
  chooser: ColumnChooser,
): SeriesData {
  const grid = slotGrid(startMs, schema.stepMs);
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
  stored: { readonly startMs: number; readonly blob: Uint8Array },
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

/** Two readings of the same ten minutes as one: what both have counts as `winner` says, what it misses stays. */
export function overlay(under: SeriesData, winner: SeriesData): SeriesData {
  const placesOf = ({ timesMs }: SeriesData): Map<number, number> =>
    new Map(timesMs.map((timeMs, index) => [timeMs, index]));
  const [won, lost] = [placesOf(winner), placesOf(under)];
  const timesMs = [...new Set([...winner.timesMs, ...under.timesMs])].sort((a, b) => a - b);
  const valueOf = (key: SeriesKey, timeMs: number): number | null =>
    winner.columns.get(key)?.[won.get(timeMs) ?? -1] ??
    under.columns.get(key)?.[lost.get(timeMs) ?? -1] ??
    null;
  const keys = new Set([...under.columns.keys(), ...winner.columns.keys()]);
  return {
    timesMs,
    columns: new Map([...keys].map((key) => [key, timesMs.map((timeMs) => valueOf(key, timeMs))])),
  };
}

/** Joins readings of one block after the other. */
export interface Joiner {
  add(part: SeriesData): void;
  /** Everything added; a series without any value has no column. */
  result(): SeriesData;
}

/** Keeps what lies between two times, both inclusive. */
export function createJoiner(fromMs: number, toMs: number): Joiner {
  const timesMs: number[] = [];
  const columns = new Map<SeriesKey, (number | null)[]>();
  return {
    add: (part) => {
      const kept = [...part.timesMs.keys()].filter((index) => {
        const timeMs = part.timesMs[index] ?? Number.NaN;
        return timeMs >= fromMs && timeMs <= toMs;
      });
      for (const [key, values] of part.columns) {
        const column = columns.get(key) ?? [];
        columns.set(key, column);
        while (column.length < timesMs.length) column.push(null);
        for (const index of kept) column.push(values[index] ?? null);
      }
      for (const index of kept) timesMs.push(part.timesMs[index] ?? 0);
    },
    result: () => {
      const filled = [...columns].filter(([, column]) => column.some((value) => value !== null));
      for (const [, column] of filled) while (column.length < timesMs.length) column.push(null);
      return { timesMs, columns: new Map(filled) };
    },
  };
}
