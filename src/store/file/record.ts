import { crc32 } from "node:zlib";
import { AgentError } from "../../core/errors.ts";

/**
 * One step of a record. `guard`: the rest of the record counts only if the key has a value with this checksum, or, with
 * null, none. `seal`: nothing after this record counts; the file is being replaced.
 */
export type Change =
  | { readonly kind: "put"; readonly key: string; readonly value: Uint8Array }
  | { readonly kind: "delete"; readonly key: string }
  | { readonly kind: "guard"; readonly key: string; readonly sum: number | null }
  | { readonly kind: "seal" };

const kinds = { put: 1, delete: 2, guard: 3, seal: 4 } as const;

/** Begins a record: no text begins so, and it finds the next record behind garbage. */
const mark = Buffer.from([0x9e, 0x54, 0x56, 0x52]);
/** Mark, bytes of the body (4), CRC-32 of those eight bytes, CRC-32 of the body. All numbers are little-endian. */
const headBytes = 16;
const at = { bodyBytes: 4, headSum: 8, bodySum: 12 } as const;

/** A step in a body: kind (1), bytes of the key (2), bytes of the value (4), the key in UTF-8, the value. */
const stepBytes = 7;
const maxKeyBytes = 65_535;

/** A garbled length must not have gigabytes read; a day of 200 series sampled each second is some 10 MB. */
const maxBodyBytes = 64 * 1024 * 1024;

/** One step as it stands in a buffer. */
export interface Step {
  readonly kind: number;
  readonly key: string;
  readonly value: Buffer;
  /** Where the value begins in the buffer. */
  readonly valueFrom: number;
}

/** One record in a buffer. */
export interface RecordFound {
  readonly from: number;
  readonly to: number;
  readonly bodySum: number;
}

export const stepKinds: Readonly<Record<Change["kind"], number>> = kinds;

/** The checksum of a key's value. */
export function valueSum(key: string, value: Uint8Array): number {
  return crc32(value, crc32(Buffer.from(key)));
}

/** Bytes a key and its value take as a record of their own. */
export function recordLength(key: string, valueBytes: number): number {
  return headBytes + stepBytes + Buffer.byteLength(key) + valueBytes;
}

function sumBytes(sum: number | null): Buffer {
  const bytes = Buffer.alloc(sum === null ? 0 : 4);
  if (sum !== null) bytes.writeUInt32LE(sum);
  return bytes;
}

/** The sum a guard asks for; null: there must be no value. */
export function guardSum(value: Buffer): number | null {
  return value.length === 4 ? value.readUInt32LE() : null;
}

function encodeStep(change: Change): readonly Uint8Array[] {
  const key = Buffer.from(change.kind === "seal" ? "" : change.key);
  const value =
    change.kind === "put"
      ? change.value
      : change.kind === "guard"
        ? sumBytes(change.sum)
        : Buffer.alloc(0);
  if (key.length > maxKeyBytes)
    throw new AgentError("STORE_UNAVAILABLE", `a key of ${key.length} bytes is too long`);
  const head = Buffer.alloc(stepBytes);
  head[0] = kinds[change.kind];
  head.writeUInt16LE(key.length, 1);
  head.writeUInt32LE(value.length, 3);
  return [head, key, value];
}

/** A record that makes all these changes or, when it is torn, none. Throws STORE_UNAVAILABLE for what is too long. */
export function encodeRecord(changes: readonly Change[]): Buffer {
  const record = Buffer.concat([Buffer.alloc(headBytes), ...changes.flatMap(encodeStep)]);
  const bodyBytes = record.length - headBytes;
  if (bodyBytes > maxBodyBytes)
    throw new AgentError("STORE_UNAVAILABLE", `${bodyBytes} bytes are too many for one record`);
  mark.copy(record);
  record.writeUInt32LE(bodyBytes, at.bodyBytes);
  record.writeUInt32LE(crc32(record.subarray(0, at.headSum)), at.headSum);
  record.writeUInt32LE(crc32(record.subarray(headBytes)), at.bodySum);
  return record;
}

/** The checksum an encoded record has. */
export function bodySumOf(record: Buffer): number {
  return record.readUInt32LE(at.bodySum);
}

/** The steps of a record; one that goes beyond it ends them, which its checksum does not let happen. */
export function stepsOf(bytes: Buffer, { from, to }: RecordFound): readonly Step[] {
  const steps: Step[] = [];
  let position = from + headBytes;
  while (position + stepBytes <= to) {
    const keyFrom = position + stepBytes;
    const valueFrom = keyFrom + bytes.readUInt16LE(position + 1);
    const valueTo = valueFrom + bytes.readUInt32LE(position + 3);
    if (valueTo > to) break;
    const key = bytes.toString("utf8", keyFrom, valueFrom);
    const value = bytes.subarray(valueFrom, valueTo);
    steps.push({ kind: bytes[position] ?? 0, key, value, valueFrom });
    position = valueTo;
  }
  return steps;
}

/** A record, what is not one, or how far the bytes would have to go on for it to be one. */
type Look = RecordFound | "none" | { readonly needs: number };

function lookAt(bytes: Buffer, from: number): Look {
  const body = from + headBytes;
  if (body > bytes.length) return { needs: body };
  const head = bytes.subarray(from, body);
  if (head.readUInt32LE(at.headSum) !== crc32(head.subarray(0, at.headSum))) return "none";
  const bodyBytes = head.readUInt32LE(at.bodyBytes);
  if (bodyBytes > maxBodyBytes) return "none";
  const to = body + bodyBytes;
  if (to > bytes.length) return { needs: to };
  const bodySum = head.readUInt32LE(at.bodySum);
  return bodySum === crc32(bytes.subarray(body, to)) ? { from, to, bodySum } : "none";
}

/** What was found in a part of a file: the next record, or from where and how far to read on. */
export type Search =
  | { readonly found: RecordFound }
  | { readonly found: null; readonly keepFrom: number; readonly needs: number };

/**
 * The first good record at or after a place; what is garbled before it is passed over. `moreBytes`: how many the file
 * has after these; a record that goes beyond them is torn.
 */
export function findRecord(bytes: Buffer, start: number, moreBytes: number): Search {
  for (let from = bytes.indexOf(mark, start); from >= 0; from = bytes.indexOf(mark, from + 1)) {
    const look = lookAt(bytes, from);
    if (look === "none") continue;
    if ("bodySum" in look) return { found: look };
    if (look.needs <= bytes.length + moreBytes)
      return { found: null, keepFrom: from, needs: look.needs };
  }
  // The mark of a record may be cut by the end of the bytes.
  const keepFrom = Math.max(start, bytes.length - mark.length + 1);
  return { found: null, keepFrom, needs: bytes.length + Math.min(moreBytes, 1) };
}
