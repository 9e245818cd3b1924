import { AgentError } from "../../core/errors.ts";
import { pack, unpack } from "./brotli.ts";
import { readDeltas, writeDeltas } from "./deltas.ts";
import { dayMs, slotGrid, type SlotGrid } from "../slots.ts";
import { maxVarintBytes, VarintReader, VarintWriter } from "./varint.ts";

/** The first byte of everything that is kept of a compacted day. */
const columnVersion = 1;

/** Written once and read for the whole retention: the smallest. */
const quality = 11;

/** More decimals than a double has digits mean nothing. */
const maxDecimals = 15;

/** Slot lengths: a second to five minutes. */
const stepRangeMs = { min: 1_000, max: 300_000 };

/** Of a gap between two slots, of at most 86,400. */
const maxGapBytes = 3;

/** Slots of a day at the shortest step; bounds what is made of a value that says it has more. */
const maxSlots = dayMs / stepRangeMs.min;

/** Which rows a compacted day has. */
export interface DayRows {
  /** Grows with every compaction of the day; its columns name it too. */
  readonly revision: number;
  readonly stepMs: number;
  /** Positions on the day's grid of slots, ascending. */
  readonly slots: Uint32Array;
}

/** One series of a compacted day: a scaled integer for each row, NaN where it is missing. */
export interface DayColumn {
  readonly decimals: number;
  readonly values: Float64Array;
}

/** The slots of a day. */
export function dayGrid(day: number, stepMs: number): SlotGrid {
  return slotGrid({ startMs: day * dayMs, lengthMs: dayMs }, stepMs);
}

/** Of a revision, what its columns carry: enough to tell two that follow each other apart. */
function revisionByte(revision: number): number {
  return revision % 256;
}

function checkVersion(version: number | undefined): void {
  if (version !== columnVersion)
    throw new AgentError("BLOCK_INVALID", `version ${version}, expected ${columnVersion}`);
}

/** The value `@rows`: version, then packed revision, step, number of rows, and the gap before each. */
export async function encodeRows({ revision, stepMs, slots }: DayRows): Promise<Uint8Array> {
  const writer = new VarintWriter();
  writer.write(revision);
  writer.write(stepMs);
  writer.write(slots.length);
  let expected = 0;
  for (const slot of slots) {
    writer.write(slot - expected);
    expected = slot + 1;
  }
  return Buffer.concat([Uint8Array.of(columnVersion), await pack(writer.bytes(), quality)]);
}

/** Throws BLOCK_INVALID on anything `encodeRows` would not have written for this day. */
export function decodeRows(day: number, blob: Uint8Array): DayRows {
  checkVersion(blob[0]);
  const maxLength = 3 * maxVarintBytes + maxSlots * maxGapBytes;
  const reader = new VarintReader(unpack(blob.subarray(1), maxLength));
  const revision = reader.readCount(Number.MAX_SAFE_INTEGER, "revision");
  const stepMs = reader.readCount(stepRangeMs.max, "step");
  if (stepMs < stepRangeMs.min)
    throw new AgentError("BLOCK_INVALID", `step ${stepMs}, expected at least ${stepRangeMs.min}`);
  const { count } = dayGrid(day, stepMs);
  const slots = new Uint32Array(reader.readCount(count, "number of rows"));
  let next = 0;
  for (let row = 0; row < slots.length; row++) {
    const gap = reader.readShort();
    const slot = next + (gap < 0 ? reader.readCount(count, "gap") : gap);
    if (slot >= count)
      throw new AgentError("BLOCK_INVALID", `slot ${slot}, expected less than ${count}`);
    slots[row] = slot;
    next = slot + 1;
  }
  if (!reader.atEnd) throw new AgentError("BLOCK_INVALID", "has numbers after its last row");
  return { revision, stepMs, slots };
}

/** The value of a series: version, decimals, end of the revision, then packed differences, 0 for a missing value. */
export async function encodeColumn(
  { decimals, values }: DayColumn,
  { revision }: Pick<DayRows, "revision">,
): Promise<Uint8Array> {
  const writer = new VarintWriter();
  writeDeltas(writer, values, values.length);
  const header = Uint8Array.of(columnVersion, decimals, revisionByte(revision));
  return Buffer.concat([header, await pack(writer.bytes(), quality)]);
}

/** Throws BLOCK_INVALID on anything `encodeColumn` would not have written for these rows. */
export function decodeColumn(blob: Uint8Array, { revision, slots }: DayRows): DayColumn {
  const [version, decimals = 0, of] = blob;
  checkVersion(version);
  if (of !== revisionByte(revision))
    throw new AgentError("BLOCK_INVALID", `column of revision ${of}, the rows are of ${revision}`);
  if (decimals > maxDecimals) throw new AgentError("BLOCK_INVALID", `${decimals} decimals`);
  const reader = new VarintReader(unpack(blob.subarray(3), slots.length * maxVarintBytes));
  const values = readDeltas(reader, slots.length);
  if (!reader.atEnd) throw new AgentError("BLOCK_INVALID", "has numbers after its last row");
  return { decimals, values };
}
