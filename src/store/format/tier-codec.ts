import { AgentError } from "../../core/errors.ts";
import { pack, unpack } from "./brotli.ts";
import { readDeltas, widest, writeDeltas } from "./deltas.ts";
import { createPoints, numberAt, type Points } from "./points.ts";
import { dayMs } from "../slots.ts";
import { maxVarintBytes, VarintReader, VarintWriter } from "./varint.ts";

/** Length of a point of the tier. */
export const pointMs = 300_000;

/** Points of a day. */
export const pointsPerDay = dayMs / pointMs;

/** The first byte of every value of a tier. */
export const tierVersion = 1;

/** The name under which a day's tier says how far it reaches; no series is called so. */
export const coveredName = "@covered";

/** The open day is written each twenty minutes, and must cost little; a closed one for the whole retention. */
export const tierQuality = { open: 5, closed: 11 };

/** A day of one series: a point for each five minutes. */
export interface TierColumn {
  readonly decimals: number;
  readonly points: Points;
}

/** How far a day is aggregated. */
export interface Coverage {
  /** Of the compacted day that it was made of; 0: of blocks. */
  readonly revision: number;
  /** Points from the beginning of the day that hold all there is. */
  readonly points: number;
  /** For each point of the day, 1 when there was a row, with a value of this series or not. */
  readonly present: Uint8Array;
}

const maxDecimals = 15;

/** A second apart at least. */
const maxSamples = pointMs / 1_000;

/** Counts, minima, widths, and of each sum a mark and the halves of a double: no honest value is longer. */
const maxLength = (1 + pointsPerDay * 6) * maxVarintBytes;

const half = 2 ** 32;

/** Whether the least sum that so many values of a minimum can have is exact. */
function isExact(count: number, min: number): boolean {
  return Number.isSafeInteger(count * min);
}

/** A sum as what it is more than the minimum times the count; undefined when a double cannot hold one of these. */
function excessOf(count: number, min: number, sum: number): number | undefined {
  const excess = sum - count * min;
  const exact = isExact(count, min) && Number.isSafeInteger(sum) && Number.isSafeInteger(excess);
  return exact && excess >= 0 ? excess : undefined;
}

function writeSum(writer: VarintWriter, excess: number | undefined, sum: number): void {
  if (excess !== undefined) {
    writer.write(excess + 1);
    return;
  }
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, sum);
  writer.write(0);
  writer.write(view.getUint32(0));
  writer.write(view.getUint32(4));
}

/** The greatest position with a sample, plus one. */
function lengthOf({ counts }: Points): number {
  return counts.findLastIndex((count) => count > 0) + 1;
}

/**
 * The value of a series: version, decimals, then packed: number of points, counts, minima as differences, and of each
 * point with samples the width from minimum to maximum, and its sum where that does not follow from these.
 */
export async function encodeTier(
  { decimals, points }: TierColumn,
  quality: number,
): Promise<Uint8Array> {
  const { counts, sums, mins, maxs } = points;
  const writer = new VarintWriter();
  const filled = [...counts.keys()].filter((at) => numberAt(counts, at) > 0);
  writer.write(lengthOf(points));
  for (let at = 0; at < lengthOf(points); at++) writer.write(numberAt(counts, at));
  const lowest = filled.map((at) => numberAt(mins, at));
  writeDeltas(writer, lowest, lowest.length);
  for (const at of filled)
    writer.writeWide(BigInt(numberAt(maxs, at)) - BigInt(numberAt(mins, at)));
  for (const at of filled) {
    const [count, sum, min] = [numberAt(counts, at), numberAt(sums, at), numberAt(mins, at)];
    if (min !== maxs[at] || !isExact(count, min)) writeSum(writer, excessOf(count, min, sum), sum);
  }
  const header = Uint8Array.of(tierVersion, decimals);
  return Buffer.concat([header, await pack(writer.bytes(), quality)]);
}

function checkVersion(version: number | undefined): void {
  if (version !== tierVersion)
    throw new AgentError("BLOCK_INVALID", `version ${version}, expected ${tierVersion}`);
}

function readMax(reader: VarintReader, min: number): number {
  const short = reader.readShort();
  if (short >= 0 && min + short <= widest) return min + short;
  const width = short >= 0 ? short : reader.read();
  const max = typeof width === "number" ? min + width : Number(BigInt(min) + width);
  if (max > widest) throw new AgentError("BLOCK_INVALID", "a value beyond ±2^53");
  return max;
}

function readDouble(reader: VarintReader): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setUint32(0, reader.readCount(half - 1, "half of a double"));
  view.setUint32(4, reader.readCount(half - 1, "half of a double"));
  const sum = view.getFloat64(0);
  if (!Number.isInteger(sum)) throw new AgentError("BLOCK_INVALID", `sum ${sum} is no integer`);
  return sum;
}

function readSum(reader: VarintReader, least: number): number {
  const short = reader.readShort();
  if (short > 0) return least + short - 1;
  const coded = short === 0 ? 0 : Number(reader.read());
  return coded > 0 ? least + coded - 1 : readDouble(reader);
}

function readCounts(reader: VarintReader, counts: Float64Array): number {
  const length = reader.readCount(pointsPerDay, "number of points");
  let filled = 0;
  for (let at = 0; at < length; at++) {
    const short = reader.readShort();
    const count =
      short >= 0 && short <= maxSamples ? short : reader.readCount(maxSamples, "samples");
    counts[at] = count;
    if (count > 0) filled++;
  }
  return filled;
}

function readExtremes(reader: VarintReader, { counts, mins, maxs }: Points): void {
  const lowest = readDeltas(reader, readCounts(reader, counts));
  let filled = 0;
  for (let at = 0; at < pointsPerDay; at++) {
    if (counts[at] === 0) continue;
    const min = numberAt(lowest, filled++);
    if (Number.isNaN(min)) throw new AgentError("BLOCK_INVALID", "a minimum is missing");
    mins[at] = min;
    maxs[at] = readMax(reader, min);
  }
}

function readSums(reader: VarintReader, { counts, sums, mins, maxs }: Points): void {
  for (let at = 0; at < pointsPerDay; at++) {
    const count = numberAt(counts, at);
    if (count === 0) continue;
    const min = numberAt(mins, at);
    const follows = min === maxs[at] && isExact(count, min);
    sums[at] = follows ? count * min : readSum(reader, count * min);
  }
}

/** Throws BLOCK_INVALID on anything `encodeTier` would not have written. */
export function decodeTier(blob: Uint8Array): TierColumn {
  const [version, decimals = 0] = blob;
  checkVersion(version);
  if (decimals > maxDecimals) throw new AgentError("BLOCK_INVALID", `${decimals} decimals`);
  const reader = new VarintReader(unpack(blob.subarray(2), maxLength));
  const points = createPoints(pointsPerDay);
  readExtremes(reader, points);
  readSums(reader, points);
  if (!reader.atEnd) throw new AgentError("BLOCK_INVALID", "has numbers after its last point");
  return { decimals, points };
}

/** The value `@covered`: version, revision, covered points, then how many points in turn have no row and have one. */
export function encodeCoverage({ revision, points, present }: Coverage): Uint8Array {
  const writer = new VarintWriter();
  writer.write(tierVersion);
  writer.write(revision);
  writer.write(points);
  let [run, state] = [0, 0];
  for (const one of present) {
    if (one === state) run++;
    else {
      writer.write(run);
      [run, state] = [1, one];
    }
  }
  writer.write(run);
  return Uint8Array.from(writer.bytes());
}

/** Throws BLOCK_INVALID on anything `encodeCoverage` would not have written. */
export function decodeCoverage(blob: Uint8Array): Coverage {
  checkVersion(blob[0]);
  const reader = new VarintReader(blob.subarray(1));
  const revision = reader.readCount(Number.MAX_SAFE_INTEGER, "revision");
  const points = reader.readCount(pointsPerDay, "covered points");
  const present = new Uint8Array(pointsPerDay);
  let [at, state] = [0, 0];
  while (at < pointsPerDay) {
    const run = reader.readCount(pointsPerDay - at, "points in turn");
    if (run === 0 && at > 0) throw new AgentError("BLOCK_INVALID", "no points in turn");
    present.fill(state, at, at + run);
    at += run;
    state = 1 - state;
  }
  if (!reader.atEnd) throw new AgentError("BLOCK_INVALID", "has numbers after its last point");
  return { revision, points, present };
}
