import { type SeriesKey, type SeriesSelector, selects } from "../../core/series.ts";
import type { Block, StoredBlock } from "../write/block.ts";
import { blockHeader, decodeNumbers } from "../format/block-codec.ts";
import type { BlockSchema, SchemaColumn } from "../contract.ts";
import { type DayColumn, dayGrid, type DayRows } from "../format/day-columns.ts";
import type { Held } from "../write/head.ts";
import { numberAt } from "../format/points.ts";
import type { Readings } from "./readings.ts";
import { type DaySchemas, schemaNumbered } from "../schema-book.ts";
import { slotGrid } from "../slots.ts";

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
): Readings {
  const grid = slotGrid(span, schema.stepMs);
  const wanted = chooser(schema);
  const shape = { columns: schema.columns.length, slots: grid.count };
  const { slots, columns } = decodeNumbers(blob, shape, wanted);
  return {
    timesMs: Float64Array.from(slots, (position) => grid.toMs(position)),
    columns: new Map(
      wanted.map((position, index) => {
        const [key, decimals] = schema.columns[position] ?? ["", 0];
        return [key, { decimals, values: columns[index] ?? new Float64Array(slots.length) }];
      }),
    ),
  };
}

/** Like `fromEncoded`, with the schema the block names. */
export function fromStored(
  stored: StoredBlock,
  schemas: DaySchemas,
  chooser: ColumnChooser,
): Readings {
  const schema = schemaNumbered(schemas, blockHeader(stored.blob).schema);
  return fromEncoded(stored, schema, chooser);
}

/** What an open block has of the asked columns. */
function fromRows(block: Block, wants: SeriesFilter): Readings {
  const timesMs = Float64Array.from(block.rows.keys()).sort();
  const rows = Array.from(timesMs, (timeMs) => block.rows.get(timeMs));
  return {
    timesMs,
    columns: new Map(
      chosen(block.columns, wants).map((position) => {
        const [key, decimals] = block.columns[position] ?? ["", 0];
        const values = Float64Array.from(rows, (row) => row?.[position] ?? Number.NaN);
        return [key, { decimals, values }];
      }),
    ),
  };
}

/** What memory has of a block. */
export function fromHeld({ content }: Held, wants: SeriesFilter, chooser: ColumnChooser): Readings {
  return content.form === "rows"
    ? fromRows(content.block, wants)
    : fromEncoded(content.frozen, content.frozen.schema, chooser);
}

/** What a compacted day has of some series. */
export function fromColumns(
  day: number,
  { stepMs, slots }: DayRows,
  columns: ReadonlyMap<SeriesKey, DayColumn>,
): Readings {
  const firstMs = dayGrid(day, stepMs).toMs(0);
  const timesMs = new Float64Array(slots.length);
  for (let row = 0; row < slots.length; row++)
    timesMs[row] = firstMs + numberAt(slots, row) * stepMs;
  return { timesMs, columns };
}
