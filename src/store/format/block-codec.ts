import { deflateRawSync, inflateRawSync } from "node:zlib";
import { AgentError, errorText } from "../../core/errors.ts";
import { readDeltas, widest, writeDeltas } from "./deltas.ts";
import { maxVarintBytes, VarintReader, VarintWriter } from "./varint.ts";

/** The first byte of every block this agent writes. */
export const blockVersion = 1;

/** Bytes before the compressed part: version, schema number. */
const headerBytes = 2;

/** Ten minutes of some series: by column, one scaled integer (or null) for each slot. */
export interface BlockContent {
  /** Positions on the block's grid of slots, ascending; 0 is the first slot inside the ten minutes. */
  readonly slots: readonly number[];
  readonly columns: readonly (readonly (number | null)[])[];
}

/** What the schema and the place of a block allow it to hold; bounds what a garbled one can make us allocate. */
export interface BlockShape {
  readonly columns: number;
  /** Slots that fit into the ten minutes. */
  readonly slots: number;
}

/** Scales a value to an integer of so many decimals; null when it is missing, not finite or beyond ±2^53. */
export function scaled(value: number | null | undefined, decimals: number): number | null {
  if (value === null || value === undefined) return null;
  const integer = Math.round(value * 10 ** decimals) + 0;
  return Math.abs(integer) <= widest ? integer : null;
}

/** The value of a scaled integer. */
export function unscaled(integer: number | null, decimals: number): number | null {
  return integer === null ? null : integer / 10 ** decimals;
}

/**
 * Encodes a block: version, schema number, then deflated varints: number of columns, number of rows, the gap before
 * each row (0: the slot after the one before), and each column. A value that is no integer of ±2^53 becomes missing.
 */
export function encodeBlock(schema: number, { slots, columns }: BlockContent): Uint8Array {
  const writer = new VarintWriter();
  writer.write(columns.length);
  writer.write(slots.length);
  let expected = 0;
  for (const slot of slots) {
    writer.write(slot - expected);
    expected = slot + 1;
  }
  for (const column of columns) writeDeltas(writer, column, slots.length);
  const packed = deflateRawSync(writer.bytes(), { level: 6 });
  const blob = new Uint8Array(headerBytes + packed.length);
  blob.set([blockVersion, schema]);
  blob.set(packed, headerBytes);
  return blob;
}

/** The version and the schema number a block begins with. Throws BLOCK_INVALID when it is too short to have them. */
export function blockHeader(blob: Uint8Array): {
  readonly version: number;
  readonly schema: number;
} {
  const [version, schema] = blob;
  if (version === undefined || schema === undefined)
    throw new AgentError("BLOCK_INVALID", `${blob.length} bytes are no block`);
  return { version, schema };
}

function inflate(blob: Uint8Array, { columns, slots }: BlockShape): Uint8Array {
  // Two counts, a gap and a value of every column for every slot: no honest block is longer.
  const maxOutputLength = (2 + slots * (1 + columns)) * maxVarintBytes;
  const packed = blob.subarray(headerBytes);
  try {
    // With `info` the result has this form, which the types of Node leave out.
    const { buffer, engine } = inflateRawSync(packed, {
      maxOutputLength,
      info: true,
    }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
    if (engine.bytesWritten === packed.length) return buffer;
  } catch (cause) {
    throw new AgentError("BLOCK_INVALID", `cannot be inflated: ${errorText(cause)}`, { cause });
  }
  throw new AgentError("BLOCK_INVALID", "has bytes after its end");
}

function readSlots(reader: VarintReader, shape: BlockShape): number[] {
  const rows = reader.readCount(shape.slots, "number of rows");
  const slots: number[] = [];
  let next = 0;
  for (let row = 0; row < rows; row++) {
    const slot = next + reader.readCount(shape.slots, "gap");
    if (slot >= shape.slots)
      throw new AgentError("BLOCK_INVALID", `slot ${slot}, expected less than ${shape.slots}`);
    slots.push(slot);
    next = slot + 1;
  }
  return slots;
}

/** Some columns of a block as numbers, NaN where one is missing. */
export interface BlockNumbers {
  readonly slots: readonly number[];
  readonly columns: readonly Float64Array[];
}

/** Only the wanted columns, in the order wanted; the others are passed over. Throws BLOCK_INVALID. */
export function decodeNumbers(
  blob: Uint8Array,
  shape: BlockShape,
  wanted: readonly number[],
): BlockNumbers {
  const { version } = blockHeader(blob);
  if (version !== blockVersion)
    throw new AgentError("BLOCK_INVALID", `version ${version}, expected ${blockVersion}`);
  const reader = new VarintReader(inflate(blob, shape));
  const count = reader.readCount(shape.columns, "number of columns");
  if (count !== shape.columns)
    throw new AgentError("BLOCK_INVALID", `${count} columns, its schema has ${shape.columns}`);
  const slots = readSlots(reader, shape);
  const asked = new Set(wanted);
  const found = new Map<number, Float64Array>();
  for (let column = 0; column < count; column++) {
    if (asked.has(column)) found.set(column, readDeltas(reader, slots.length));
    else reader.skip(slots.length);
  }
  if (!reader.atEnd) throw new AgentError("BLOCK_INVALID", "has numbers after its last column");
  const missing = new Float64Array(slots.length).fill(Number.NaN);
  return { slots, columns: wanted.map((column) => found.get(column) ?? missing) };
}

function withNulls(values: Float64Array): (number | null)[] {
  return Array.from(values, (value) => (Number.isNaN(value) ? null : value));
}

/** Like `decodeBlock`, but only the wanted columns, in the order wanted. */
export function decodeColumns(
  blob: Uint8Array,
  shape: BlockShape,
  wanted: readonly number[],
): BlockContent {
  const { slots, columns } = decodeNumbers(blob, shape, wanted);
  return { slots, columns: columns.map(withNulls) };
}

/** Decodes a whole block. Throws BLOCK_INVALID on anything `encodeBlock` would not have written for this shape. */
export function decodeBlock(blob: Uint8Array, shape: BlockShape): BlockContent {
  return decodeColumns(
    blob,
    shape,
    Array.from({ length: shape.columns }, (_, column) => column),
  );
}
