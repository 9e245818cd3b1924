import assert from "node:assert/strict";
import { brotliCompressSync, constants } from "node:zlib";
import fc from "fast-check";
import {
  type DayColumn,
  type DayRows,
  dayGrid,
  decodeColumn,
  decodeRows,
  encodeColumn,
  encodeRows,
} from "../../../src/store/format/day-columns.ts";
import { VarintWriter } from "../../../src/store/format/varint.ts";
import { isInvalid, orRefused } from "../../support/invalid.ts";

const day = 20_458;
const widest = 2 ** 53;

const value = fc.oneof(
  fc.constant(Number.NaN),
  fc.integer({ min: -1_000, max: 1_000 }),
  fc.maxSafeInteger(),
  fc.constantFrom(widest, -widest, widest - 1, 1 - widest, 0),
);

/** Any rows of a day at any step, and one series of them. */
const content: fc.Arbitrary<{ rows: DayRows; column: DayColumn }> = fc
  .record({
    revision: fc.nat(100_000),
    seconds: fc.integer({ min: 1, max: 300 }),
    decimals: fc.nat(15),
  })
  .chain(({ revision, seconds, decimals }) =>
    fc
      .uniqueArray(fc.nat(dayGrid(day, seconds * 1_000).count - 1), { maxLength: 80 })
      .chain((slots) =>
        fc.array(value, { minLength: slots.length, maxLength: slots.length }).map((values) => ({
          rows: {
            revision,
            stepMs: seconds * 1_000,
            slots: Uint32Array.from(slots).sort(),
          },
          column: { decimals, values: Float64Array.from(values) },
        })),
      ),
  );

/** A value of version 1 around numbers nobody checked. */
function forge(header: readonly number[], ...numbers: (number | bigint)[]): Uint8Array {
  const writer = new VarintWriter();
  for (const number of numbers)
    if (typeof number === "bigint") writer.writeWide(number);
    else writer.write(number);
  return Buffer.concat([Buffer.from(header), brotliCompressSync(writer.bytes())]);
}

describe("columns of a day", () => {
  it("give back any rows and any series", async () => {
    await fc.assert(
      fc.asyncProperty(content, async ({ rows, column }) => {
        assert.deepEqual(decodeRows(day, await encodeRows(rows)), rows);
        assert.deepEqual(decodeColumn(await encodeColumn(column, rows), rows), column);
      }),
      { numRuns: 100 },
    );
  });

  it("are some bytes for a day without a gap, and store what is no integer of ±2^53 as missing", async () => {
    const slots = Uint32Array.from({ length: 8_640 }, (_, index) => index);
    const rows = { revision: 1, stepMs: 10_000, slots };
    assert.ok((await encodeRows(rows)).length < 40);
    const odd = slots.map(() => 0);
    const values = Float64Array.from(odd);
    values.set([Number.POSITIVE_INFINITY, 2 ** 54, -(2 ** 54), 1.5, 7]);
    const read = decodeColumn(await encodeColumn({ decimals: 0, values }, rows), rows);
    const gone = Number.NaN;
    assert.deepEqual([...read.values.subarray(0, 6)], [gone, gone, gone, gone, 7, 0]);
  });

  it("never make anything but a column or a refusal of random and of changed bytes", async () => {
    await fc.assert(
      fc.asyncProperty(
        content,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        fc.uint8Array({ maxLength: 200 }),
        async ({ rows, column }, at, flip, bytes) => {
          for (const blob of [
            bytes,
            Buffer.concat([Buffer.from([1, 1, rows.revision % 256]), bytes]),
            Buffer.concat([Buffer.from([1, 1, rows.revision % 256]), brotliCompressSync(bytes)]),
            Buffer.concat([Buffer.from([1]), brotliCompressSync(bytes)]),
          ]) {
            orRefused(() => decodeRows(day, blob));
            const read = orRefused(() => decodeColumn(blob, rows));
            assert.ok(read === null || read.values.length === rows.slots.length);
          }
          for (const blob of [await encodeRows(rows), await encodeColumn(column, rows)]) {
            blob[at % blob.length] = (blob[at % blob.length] ?? 0) ^ flip;
            orRefused(() => decodeRows(day, blob));
            orRefused(() => decodeColumn(blob, rows));
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it("refuse every truncation", async () => {
    const slots = Uint32Array.from({ length: 60 }, (_, index) => index * 2);
    const rows = { revision: 3, stepMs: 10_000, slots };
    const column = await encodeColumn({ decimals: 1, values: Float64Array.from(slots) }, rows);
    const head = await encodeRows(rows);
    for (let length = 0; length < column.length; length++)
      assert.throws(() => decodeColumn(column.subarray(0, length), rows), isInvalid);
    for (let length = 0; length < head.length; length++)
      assert.throws(() => decodeRows(day, head.subarray(0, length)), isInvalid);
  });

  it("refuse what no agent has written", () => {
    const rows = { revision: 3, stepMs: 10_000, slots: Uint32Array.of(0, 5) };
    for (const [blob, why] of [
      [forge([2], 1, 10_000, 0), /version 2/],
      [forge([1], 1, 999, 0), /step 999/],
      [forge([1], 1, 300_001, 0), /step 300001/],
      [forge([1], 1, 10_000, 8_641), /number of rows 8641/],
      [forge([1], 1, 10_000, 1n << 50n), /number of rows/],
      [forge([1], 1, 10_000, 2, 8_639, 0), /slot 8640/],
      [forge([1], 1, 10_000, 1, 0, 0), /after its last row/],
      [forge([1], 1, 10_000, 2, 0), /in the middle/],
    ] as const) {
      assert.throws(() => decodeRows(day, blob), isInvalid);
      assert.throws(() => decodeRows(day, blob), why);
    }
    for (const [blob, why] of [
      [forge([2, 1, 3], 0, 0), /version 2/],
      [forge([1, 16, 3], 0, 0), /16 decimals/],
      [forge([1, 1, 2], 0, 0), /revision 2/],
      [forge([1, 1, 3], 0), /in the middle/],
      [forge([1, 1, 3], 0, 0, 0), /after its last row/],
      [forge([1, 1, 3], (1n << 56n) - 1n, 0), /beyond/],
      [Buffer.concat([forge([1, 1, 3], 0, 0), Buffer.from([0])]), /after its end/],
    ] as const) {
      assert.throws(() => decodeColumn(blob, rows), isInvalid);
      assert.throws(() => decodeColumn(blob, rows), why);
    }
  });

  it("do not unpack a bomb", () => {
    const packed = brotliCompressSync(Buffer.alloc(50_000_000, 1), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    });
    const rows = { revision: 3, stepMs: 10_000, slots: Uint32Array.of(0, 5) };
    const before = process.memoryUsage().arrayBuffers;
    const bomb = (...header: number[]): Buffer => Buffer.concat([Buffer.from(header), packed]);
    assert.throws(() => decodeColumn(bomb(1, 1, 3), rows), /cannot be unpacked/);
    assert.throws(() => decodeRows(day, bomb(1)), /cannot be unpacked/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 5_000_000);
  });
});
