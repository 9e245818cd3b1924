import { setImmediate } from "node:timers/promises";
import { AgentError } from "../../core/errors.ts";
import type { SeriesKey } from "../../core/series.ts";
import { blockHeader, decodeNumbers } from "../format/block-codec.ts";
import { createColumnChooser, fromColumns, fromEncoded } from "../read/columns.ts";
import type { BlockSchema } from "../contract.ts";
import {
  type DayColumn,
  dayGrid,
  type DayRows,
  decodeColumn,
  decodeRows,
  encodeColumn,
  encodeRows,
} from "../format/day-columns.ts";
import { numberAt } from "../format/points.ts";
import { joined, type Readings } from "../read/readings.ts";
import { type DaySchemas, schemaNumbered } from "../schema-book.ts";
import { gcd, slotGrid, type Span } from "../slots.ts";

/** A block of a closed day that can be read. */
export interface DayBlock extends Span {
  readonly blob: Uint8Array;
  readonly schema: BlockSchema;
}

/** Everything that is stored of a closed day. */
export interface ClosedDay {
  readonly day: number;
  /** In rising order of who counts. */
  readonly blocks: readonly DayBlock[];
  /** The columns of an earlier compaction; null: there was none. */
  readonly rows: DayRows | null;
  readonly columns: ReadonlyMap<SeriesKey, Uint8Array>;
}

/** Values decoded at a time, half a MB: joining and aggregating them takes some milliseconds. */
const valuesAtOnce = 65_536;

/** A block with its schema, after all of it was decoded once. Throws BLOCK_INVALID. */
export function readableBlock(span: Span, blob: Uint8Array, schemas: DaySchemas): DayBlock {
  const schema = schemaNumbered(schemas, blockHeader(blob).schema);
  const shape = {
    columns: schema.columns.length,
    slots: slotGrid(span, schema.stepMs).count,
  };
  decodeNumbers(blob, shape, [...schema.columns.keys()]);
  return { ...span, blob, schema };
}

/** The series of a day, each once. */
function keysOf({ blocks, columns }: ClosedDay): readonly SeriesKey[] {
  const schemas = new Set(blocks.map(({ schema }) => schema));
  const ofBlocks = [...schemas].flatMap((schema) => schema.columns.map(([key]) => key));
  return [...new Set([...columns.keys(), ...ofBlocks])];
}

/** What a day has of some series, and when it has rows. */
async function partsOf(
  closed: ClosedDay,
  keys: readonly SeriesKey[],
): Promise<readonly Readings[]> {
  const { day, blocks, rows, columns } = closed;
  const parts: Readings[] = [];
  if (rows !== null) {
    const found = new Map<SeriesKey, DayColumn>();
    for (const key of keys) {
      const blob = columns.get(key);
      if (blob === undefined) continue;
      found.set(key, decodeColumn(blob, rows));
      await setImmediate();
    }
    parts.push(fromColumns(day, rows, found));
  }
  const wanted = new Set(keys);
  const choose = createColumnChooser((key) => wanted.has(key));
  for (const block of blocks) {
    parts.push(fromEncoded(block, block.schema, choose));
    await setImmediate();
  }
  return parts;
}

/** The widest grid on which all rows of a day lie. */
function stepOf({ blocks, rows }: ClosedDay): number {
  const steps = [...new Set(blocks.map(({ schema }) => schema.stepMs))];
  return [...steps, ...(rows === null ? [] : [rows.stepMs])].reduce(gcd, 0);
}

/** Thrown when encoded columns do not give back what they were made of. */
function differs(what: string): AgentError {
  return new AgentError("BLOCK_INVALID", `columns would not give back ${what}`);
}

/** Compares a column with what it was made of. Throws BLOCK_INVALID when they differ. */
function verifyColumn(
  key: SeriesKey,
  { timesMs, column }: { readonly timesMs: Float64Array; readonly column: DayColumn },
  parts: readonly Readings[],
): void {
  const expected = new Map<number, number>();
  for (const part of parts) {
    const source = part.columns.get(key);
    if (source === undefined) continue;
    for (const [at, value] of source.values.entries())
      if (!Number.isNaN(value))
        expected.set(numberAt(part.timesMs, at), value / 10 ** source.decimals);
  }
  let found = 0;
  for (const [at, value] of column.values.entries()) {
    if (Number.isNaN(value)) continue;
    found++;
    if (expected.get(numberAt(timesMs, at)) !== value / 10 ** column.decimals) throw differs(key);
  }
  if (found !== expected.size) throw differs(key);
}

/** Compares rows with what they were made of. Throws BLOCK_INVALID when they differ. */
function verifyRows(timesMs: Float64Array, parts: readonly Readings[]): void {
  const expected = new Set(parts.flatMap((part) => [...part.timesMs]));
  if (expected.size !== timesMs.length || !timesMs.every((timeMs) => expected.has(timeMs)))
    throw differs("the rows");
}

/** Series that are done at a time; a day whose rows are all empty is done too. */
function groupsOf(keys: readonly SeriesKey[], rows: number): readonly (readonly SeriesKey[])[] {
  const size = Math.max(1, Math.floor(valuesAtOnce / Math.max(1, rows)));
  const count = Math.max(1, Math.ceil(keys.length / size));
  return Array.from({ length: count }, (_, index) => keys.slice(index * size, (index + 1) * size));
}

/** The rows of a day under a new revision, in both forms. Throws BLOCK_INVALID. */
async function newRows(closed: ClosedDay): Promise<{ rows: DayRows; blob: Uint8Array }> {
  const parts = await partsOf(closed, []);
  const stepMs = stepOf(closed);
  const grid = dayGrid(closed.day, stepMs);
  const slots = Uint32Array.from(joined(parts).timesMs, (timeMs) => grid.toPosition(timeMs));
  const blob = await encodeRows({ revision: (closed.rows?.revision ?? 0) + 1, stepMs, slots });
  const rows = decodeRows(closed.day, blob);
  verifyRows(fromColumns(closed.day, rows, new Map()).timesMs, parts);
  return { rows, blob };
}

/** A day as columns. */
export interface DayOfColumns {
  readonly rows: DayRows;
  readonly rowsBlob: Uint8Array;
  readonly columns: ReadonlyMap<SeriesKey, Uint8Array>;
}

/** The samples of a day, some series after the others. Throws BLOCK_INVALID. */
export async function* samplesOf(closed: ClosedDay): AsyncGenerator<Readings> {
  const { timesMs } = joined(await partsOf(closed, []));
  for (const keys of groupsOf(keysOf(closed), timesMs.length))
    yield joined(await partsOf(closed, keys));
}

/**
 * Makes columns of a closed day, each of which is decoded again and compared with what it was made of. `visit` gets the
 * samples of some series after the others. Throws BLOCK_INVALID when the day cannot be kept so.
 */
export async function columnsOf(
  closed: ClosedDay,
  visit: (readings: Readings) => void,
  signal?: AbortSignal,
): Promise<DayOfColumns> {
  const { rows, blob } = await newRows(closed);
  const columns = new Map<SeriesKey, Uint8Array>();
  for (const keys of groupsOf(keysOf(closed), rows.slots.length)) {
    const parts = await partsOf(closed, keys);
    const readings = joined(parts);
    for (const [key, column] of readings.columns) {
      signal?.throwIfAborted();
      if (column.values.every(Number.isNaN)) continue;
      const encoded = await encodeColumn(column, rows);
      verifyColumn(key, { timesMs: readings.timesMs, column: decodeColumn(encoded, rows) }, parts);
      columns.set(key, encoded);
    }
    visit(readings);
  }
  return { rows, rowsBlob: blob, columns };
}
