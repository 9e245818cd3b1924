import type { IndexDefinition, SeriesKey } from "../../core/series.ts";
import { decodeBlock, encodeBlock, scaled } from "../format/block-codec.ts";
import type { BlockSchema, SchemaColumn } from "../contract.ts";
import { maxColumns } from "../format/schemas.ts";
import { gcd, slotGrid, type Span } from "../slots.ts";

/** Samples of a span as rows, open to new ones. */
export interface Block extends Span {
  /** The widest grid on which all its slots lie; shrinks when the interval changes within the block. */
  stepMs: number;
  readonly columns: SchemaColumn[];
  readonly positions: Map<SeriesKey, number>;
  /** Scaled integers by column position, by slot time. */
  readonly rows: Map<number, (number | null)[]>;
}

/** A block in its encoded form, with the schema to decode it; its own schema number means nothing. */
export interface FrozenBlock extends Span {
  readonly schema: BlockSchema;
  readonly blob: Uint8Array;
}

/** Slots are whole seconds, also when an interval is not. */
const secondMs = 1_000;

/** Decimals of a series whose index nobody defined. */
const defaultDecimals = 2;

/** The longest interval the configuration allows. */
const maxStepMs = 300_000;

/** The grid of an interval: whole seconds, 1 to 300. */
export function gridStepMs(stepMs: number): number {
  return Math.min(maxStepMs, Math.max(secondMs, Math.floor(stepMs / secondMs) * secondMs));
}

export function createBlock({ startMs, lengthMs }: Span, stepMs: number): Block {
  return { startMs, lengthMs, stepMs, columns: [], positions: new Map(), rows: new Map() };
}

/** The column of a series as its index defines it. */
export function columnOf(
  key: SeriesKey,
  definitions: ReadonlyMap<string, IndexDefinition>,
): SchemaColumn {
  const open = key.indexOf("{");
  const index = definitions.get(open < 0 ? key : key.slice(0, open));
  return [key, index?.decimals ?? defaultDecimals, index?.unit ?? ""];
}

/** The position of a column, which is added when it is not there; -1 when the block is full. */
function positionOf(block: Block, key: SeriesKey, column: () => SchemaColumn): number {
  const known = block.positions.get(key);
  if (known !== undefined) return known;
  if (block.columns.length >= maxColumns) return -1;
  block.columns.push(column());
  block.positions.set(key, block.columns.length - 1);
  return block.columns.length - 1;
}

/** Makes a time fit the block's grid, or the grid the time. */
function place(block: Block, timeMs: number): number {
  const slotMs = Math.floor(timeMs / secondMs) * secondMs;
  block.stepMs = gcd(block.stepMs, slotMs % block.stepMs);
  return slotMs;
}

/** Puts a row into its slot, in place of one that is there. */
export function putRow(
  block: Block,
  slotMs: number,
  values: ReadonlyMap<SeriesKey, number | null>,
  column: (key: SeriesKey) => SchemaColumn,
): void {
  const row: (number | null)[] = block.columns.map(() => null);
  for (const [key, value] of values) {
    const position = positionOf(block, key, () => column(key));
    if (position >= 0) row[position] = scaled(value, block.columns[position]?.[1] ?? 0);
  }
  block.rows.set(place(block, slotMs), row);
}

/** A scaled integer of one precision in another. */
function rescaled(value: number | null, from: number, to: number): number | null {
  return value === null || from === to ? value : scaled(value / 10 ** from, to);
}

/** A block as it is stored. */
export interface StoredBlock extends Span {
  readonly blob: Uint8Array;
}

/**
 * Adds the values that a stored block has of this block's time. Values that are already here win; where they are
 * missing (a new process has no rates in its first row) the stored ones stay. A column without any value stays away.
 * Throws BLOCK_INVALID, and then has changed nothing.
 */
export function mergeEncoded(
  block: Block,
  { blob, ...span }: StoredBlock,
  schema: BlockSchema,
): void {
  const grid = slotGrid(span, schema.stepMs);
  const stored = decodeBlock(blob, { columns: schema.columns.length, slots: grid.count });
  const endMs = block.startMs + block.lengthMs;
  const rows = stored.slots.flatMap((position, index) => {
    const slotMs = grid.toMs(position);
    if (slotMs < block.startMs || slotMs >= endMs) return [];
    const row = block.rows.get(slotMs) ?? [];
    if (!block.rows.has(slotMs)) block.rows.set(place(block, slotMs), row);
    return [{ row, index }];
  });
  for (const [number, column] of schema.columns.entries()) {
    const values = stored.columns[number] ?? [];
    const empty = rows.every(({ index }) => (values[index] ?? null) === null);
    const position = empty ? -1 : positionOf(block, column[0], () => column);
    if (position < 0) continue;
    const decimals = block.columns[position]?.[1] ?? column[1];
    for (const { row, index } of rows)
      row[position] ??= rescaled(values[index] ?? null, column[1], decimals);
  }
}

/** What a block needs of a schema: its step and its columns. */
export function schemaOf({ stepMs, columns }: Block): BlockSchema {
  return { stepMs, columns: [...columns] };
}

/** Encodes a block under a schema of its step; columns the schema has not are left out. */
export function encodeUnder(block: Block, number: number, schema: BlockSchema): Uint8Array {
  const grid = slotGrid(block, schema.stepMs);
  const rows = [...block.rows].sort(([a], [b]) => a - b);
  return encodeBlock(number, {
    slots: rows.map(([slotMs]) => grid.toPosition(slotMs)),
    columns: schema.columns.map(([key]) => {
      const position = block.positions.get(key);
      return rows.map(([, row]) => (position === undefined ? null : (row[position] ?? null)));
    }),
  });
}

/** The small form of a block that gets no more rows. */
export function freeze(block: Block): FrozenBlock {
  const schema = schemaOf(block);
  const { startMs, lengthMs } = block;
  return { startMs, lengthMs, schema, blob: encodeUnder(block, 0, schema) };
}

/** The open form of a frozen block. */
export function thaw(frozen: FrozenBlock): Block {
  const block = createBlock(frozen, frozen.schema.stepMs);
  mergeEncoded(block, frozen, frozen.schema);
  return block;
}
