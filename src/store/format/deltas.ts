import { AgentError } from "../../core/errors.ts";
import type { VarintReader, VarintWriter } from "./varint.ts";

/** Scaled integers up to here are exact in a double, both ways. */
export const widest = 2 ** 53;

/** Differences below this keep an exact zigzag number plus one in a double. */
const plainDelta = 2 ** 51;

/** Zigzag of the difference, plus one: 0 is kept for a missing value. */
function writeDelta(writer: VarintWriter, value: number, previous: number): void {
  const delta = value - previous;
  if (Math.abs(delta) < plainDelta) {
    writer.write((delta < 0 ? -2 * delta - 1 : 2 * delta) + 1);
    return;
  }
  const wide = BigInt(value) - BigInt(previous);
  writer.writeWide((wide < 0n ? -2n * wide - 1n : 2n * wide) + 1n);
}

/** The value `writeDelta` has coded. Throws BLOCK_INVALID when it is beyond ±2^53. */
function addDelta(previous: number, coded: number | bigint): number {
  let value: number;
  if (typeof coded === "number") {
    const zigzag = coded - 1;
    value = previous + (zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2);
  } else {
    const zigzag = coded - 1n;
    value = Number(BigInt(previous) + (zigzag % 2n === 0n ? zigzag / 2n : -(zigzag + 1n) / 2n));
  }
  if (Math.abs(value) > widest) throw new AgentError("BLOCK_INVALID", "a value beyond ±2^53");
  return value;
}

/** Whether a number can be stored: an integer of ±2^53. */
function storable(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isInteger(value) && Math.abs(value) <= widest;
}

/** So many values, each as its difference to the one before that is there; what is no integer of ±2^53 is missing. */
export function writeDeltas(
  writer: VarintWriter,
  values: ArrayLike<number | null>,
  count: number,
): void {
  let previous = 0;
  for (let at = 0; at < count; at++) {
    const value = values[at];
    if (storable(value)) {
      writeDelta(writer, value, previous);
      previous = value;
    } else writer.write(0);
  }
}

/** So many values that `writeDelta` has coded, NaN where one is missing. Throws BLOCK_INVALID. */
export function readDeltas(reader: VarintReader, count: number): Float64Array {
  const values = new Float64Array(count);
  let previous = 0;
  let at = 0;
  while (at < count) {
    const coded = reader.readShort();
    // A difference of less than 2^20, as most are.
    if (coded > 0) {
      const zigzag = coded - 1;
      previous += (zigzag >>> 1) ^ -(zigzag & 1);
      if (previous > widest || previous < -widest)
        throw new AgentError("BLOCK_INVALID", "a value beyond ±2^53");
      values[at++] = previous;
      continue;
    }
    const wide = coded === 0 ? 0 : reader.read();
    if (wide === 0) values[at++] = Number.NaN;
    else values[at++] = previous = addDelta(previous, wide);
  }
  return values;
}
