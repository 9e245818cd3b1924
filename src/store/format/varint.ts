import { AgentError } from "../../core/errors.ts";

/** Seven bytes carry 49 bits, which a number holds exactly; eight need a bigint. */
const plainBytes = 7;

/** Eight bytes carry 56 bits, one more than the widest delta of two values of ±2^53 needs. */
export const maxVarintBytes = 8;

/** Grows as varints (seven bits a byte, low bits first) are written to it. */
export class VarintWriter {
  #bytes = new Uint8Array(1_024);
  #length = 0;

  #push(byte: number): void {
    if (this.#length === this.#bytes.length) {
      const wider = new Uint8Array(this.#bytes.length * 2);
      wider.set(this.#bytes);
      this.#bytes = wider;
    }
    this.#bytes[this.#length++] = byte;
  }

  /** Writes an integer from 0 to 2^53. */
  write(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#push((rest % 0x80) | 0x80);
      rest = Math.floor(rest / 0x80);
    }
    this.#push(rest);
  }

  /** Writes an integer that may be wider than 53 bits. */
  writeWide(value: bigint): void {
    let rest = value;
    while (rest >= 0x80n) {
      this.#push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.#push(Number(rest));
  }

  /** What was written so far; valid until the next write. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Reads varints; throws BLOCK_INVALID at the end of the bytes and on a varint that is too long or not the shortest. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** A number up to 49 bits, a bigint above. */
  read(): number | bigint {
    let value = 0;
    let scale = 1;
    for (let count = 1; count <= plainBytes; count++) {
      const byte = this.#next();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return shortest(value, byte, count);
      scale *= 0x80;
    }
    const last = this.#next();
    if (last >= 0x80) throw new AgentError("BLOCK_INVALID", "a number longer than eight bytes");
    return (BigInt(shortest(last, last, maxVarintBytes)) << 49n) | BigInt(value);
  }

  /** A number of one to three bytes, as most are; -1, and nothing is passed over, when it may be another one. */
  readShort(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    const first = bytes[at] ?? -1;
    if (first < 0x80) {
      if (first >= 0) this.#at = at + 1;
      return first;
    }
    const second = bytes[at + 1] ?? 0;
    if (second < 0x80) {
      if (second === 0) return -1;
      this.#at = at + 2;
      return (first & 0x7f) | (second << 7);
    }
    const third = bytes[at + 2] ?? 0;
    if (third === 0 || third >= 0x80) return -1;
    this.#at = at + 3;
    return (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  }

  /** A number no greater than `max`. */
  readCount(max: number, what: string): number {
    const value = this.read();
    if (typeof value === "bigint" || value > max)
      throw new AgentError("BLOCK_INVALID", `${what} ${value}, expected at most ${max}`);
    return value;
  }

  /** Passes over varints without looking at them. */
  skip(count: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    for (let left = count; left > 0; at++) {
      const byte = bytes[at];
      if (byte === undefined) throw new AgentError("BLOCK_INVALID", "ends in the middle");
      if (byte < 0x80) left--;
    }
    this.#at = at;
  }

  #next(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new AgentError("BLOCK_INVALID", "ends in the middle");
    return byte;
  }
}

function shortest(value: number, lastByte: number, bytes: number): number {
  if (lastByte === 0 && bytes > 1)
    throw new AgentError("BLOCK_INVALID", "a number with leading zeros");
  return value;
}
