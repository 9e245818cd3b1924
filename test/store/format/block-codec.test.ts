import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import fc from "fast-check";
import { AgentError } from "../../../src/core/errors.ts";
import {
  type BlockContent,
  blockHeader,
  type BlockShape,
  decodeBlock,
  decodeColumns,
  encodeBlock,
  scaled,
  unscaled,
} from "../../../src/store/format/block-codec.ts";
import { slotGrid } from "../../../src/store/slots.ts";
import { VarintReader, VarintWriter } from "../../../src/store/format/varint.ts";

const widest = 2 ** 53;

const value = fc.oneof(
  fc.constant(null),
  fc.integer({ min: -1_000, max: 1_000 }),
  fc.maxSafeInteger(),
  fc.constantFrom(widest, -widest, widest - 1, 1 - widest, 0),
);

/** Any series over any slots of a block. */
const content: fc.Arbitrary<{ block: BlockContent; shape: BlockShape }> = fc
  .record({
    slots: fc.uniqueArray(fc.integer({ min: 0, max: 599 }), { maxLength: 70 }),
    columns: fc.integer({ min: 0, max: 12 }),
  })
  .chain(({ slots, columns }) =>
    fc
      .array(fc.array(value, { minLength: slots.length, maxLength: slots.length }), {
        minLength: columns,
        maxLength: columns,
      })
      .map((values) => ({
        block: { slots: slots.toSorted((a, b) => a - b), columns: values },
        shape: { columns, slots: 600 },
      })),
  );

function isInvalid(cause: unknown): boolean {
  return cause instanceof AgentError && cause.code === "BLOCK_INVALID";
}

/** Decodes what may be anything; whatever else than a block or BLOCK_INVALID comes out fails the test. */
function decodesOrRefuses(blob: Uint8Array, shape: BlockShape): BlockContent | null {
  try {
    return decodeBlock(blob, shape);
  } catch (cause) {
    assert.ok(isInvalid(cause), `threw ${String(cause)}`);
    return null;
  }
}

/** A block of version 1 around numbers nobody checked. */
function forge(...numbers: (number | bigint)[]): Uint8Array {
  const writer = new VarintWriter();
  for (const number of numbers)
    if (typeof number === "bigint") writer.writeWide(number);
    else writer.write(number);
  return Buffer.concat([Buffer.from([1, 1]), deflateRawSync(writer.bytes())]);
}

describe("block codec", () => {
  it("gives back any block it has encoded", () => {
    fc.assert(
      fc.property(content, fc.integer({ min: 0, max: 255 }), ({ block, shape }, schema) => {
        const blob = encodeBlock(schema, block);
        assert.deepEqual(blockHeader(blob), { version: 1, schema });
        assert.deepEqual(decodeBlock(blob, shape), block);
      }),
      { numRuns: 300 },
    );
  });

  it("decodes only the columns asked for, in the order asked", () => {
    fc.assert(
      fc.property(content, fc.array(fc.nat(11), { maxLength: 5 }), ({ block, shape }, asked) => {
        const wanted = asked.filter((column) => column < shape.columns);
        const { slots, columns } = decodeColumns(encodeBlock(1, block), shape, wanted);
        assert.deepEqual(slots, block.slots);
        assert.deepEqual(
          columns,
          wanted.map((column) => block.columns[column]),
        );
      }),
    );
  });

  it("round-trips the widest jumps there are", () => {
    const block = { slots: [0, 1, 2, 3], columns: [[widest, -widest, 1 - widest, widest]] };
    assert.deepEqual(decodeBlock(encodeBlock(1, block), { columns: 1, slots: 600 }), block);
  });

  it("stores what is no integer of ±2^53 as missing", () => {
    const odd = [Number.NaN, Number.POSITIVE_INFINITY, 2 ** 54, -(2 ** 54), 1.5, 7];
    const blob = encodeBlock(1, { slots: [0, 1, 2, 3, 4, 5], columns: [odd] });
    assert.deepEqual(decodeBlock(blob, { columns: 1, slots: 600 }).columns, [
      [null, null, null, null, null, 7],
    ]);
  });

  it("never makes anything but a block or a refusal of random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodesOrRefuses(bytes, { columns: 3, slots: 60 });
        decodesOrRefuses(Buffer.concat([Buffer.from([1, 1]), bytes]), { columns: 3, slots: 60 });
        const packed = deflateRawSync(bytes);
        decodesOrRefuses(Buffer.concat([Buffer.from([1, 1]), packed]), { columns: 3, slots: 60 });
      }),
      { numRuns: 500 },
    );
  });

  it("never makes anything but a block or a refusal of a block with changed bytes", () => {
    fc.assert(
      fc.property(content, fc.nat(), fc.integer({ min: 1, max: 255 }), (made, at, flip) => {
        const blob = encodeBlock(1, made.block);
        const index = at % blob.length;
        blob[index] = (blob[index] ?? 0) ^ flip;
        decodesOrRefuses(blob, made.shape);
      }),
      { numRuns: 300 },
    );
  });

  it("refuses every truncation", () => {
    const slots = Array.from({ length: 60 }, (_, index) => index);
    const blob = encodeBlock(1, { slots, columns: [slots, slots.map((slot) => slot * slot)] });
    for (let length = 0; length < blob.length; length++)
      assert.throws(
        () => decodeBlock(blob.subarray(0, length), { columns: 2, slots: 60 }),
        isInvalid,
        `${length} bytes`,
      );
  });

  it("refuses another version, bytes after the end, and numbers after the last column", () => {
    const shape = { columns: 1, slots: 60 };
    const blob = encodeBlock(1, { slots: [0], columns: [[5]] });
    assert.throws(() => decodeBlock(Uint8Array.from([2, ...blob.subarray(1)]), shape), /version 2/);
    assert.throws(() => decodeBlock(Uint8Array.from([...blob, 0]), shape), /after its end/);
    assert.throws(() => decodeBlock(forge(1, 1, 0, 11, 4), shape), /after its last column/);
  });

  it("refuses impossible counts, slots and numbers", () => {
    const shape = { columns: 2, slots: 60 };
    for (const [blob, why] of [
      [forge(3, 0), /number of columns 3/],
      [forge(1, 0), /1 columns, its schema has 2/],
      [forge(2, 61), /number of rows 61/],
      [forge(2, 2 ** 40), /number of rows/],
      [forge(2, 1n << 50n), /number of rows/],
      [forge(2, 1, 60, 0, 0), /slot 60/],
      [forge(2, 2, 59, 0, 0, 0, 0, 0), /slot 60/],
      [forge(2, 1, 0, (1n << 56n) - 1n, 0), /beyond/],
      [forge(2, 1, 0, 1n << 56n, 0), /longer than eight bytes/],
      [forge(2, 1, 0, 5), /in the middle/],
    ] as const) {
      assert.throws(() => decodeBlock(blob, shape), isInvalid);
      assert.throws(() => decodeBlock(blob, shape), why);
    }
  });

  it("refuses a number written longer than needed", () => {
    const padded = Buffer.concat([Buffer.from([1, 1]), deflateRawSync(Buffer.from([0x80, 0, 0]))]);
    assert.throws(() => decodeBlock(padded, { columns: 0, slots: 60 }), /leading zeros/);
  });

  it("does not inflate a bomb", () => {
    const bomb = Buffer.concat([Buffer.from([1, 1]), deflateRawSync(Buffer.alloc(50_000_000))]);
    const before = process.memoryUsage().arrayBuffers;
    assert.throws(() => decodeBlock(bomb, { columns: 50, slots: 60 }), /cannot be inflated/);
    assert.ok(process.memoryUsage().arrayBuffers - before < 5_000_000);
  });

  it("writes and reads any varint up to 56 bits", () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt({ min: 0n, max: (1n << 56n) - 1n })), (numbers) => {
        const writer = new VarintWriter();
        for (const number of numbers)
          if (number < 1n << 53n) writer.write(Number(number));
          else writer.writeWide(number);
        const reader = new VarintReader(writer.bytes());
        for (const number of numbers) assert.equal(BigInt(reader.read()), number);
        assert.ok(reader.atEnd);
      }),
    );
  });

  it("scales to integers and back without losing a digit", () => {
    assert.equal(scaled(12.34, 1), 123);
    assert.equal(unscaled(123, 1), 12.3);
    assert.ok(Object.is(scaled(-0.01, 1), 0));
    for (const missing of [null, undefined, Number.NaN, Number.NEGATIVE_INFINITY, 2 ** 53 * 2])
      assert.equal(scaled(missing, 0), null);
    assert.equal(scaled(2 ** 53, 0), 2 ** 53);
    fc.assert(
      fc.property(fc.integer({ min: -1e9, max: 1e9 }), fc.nat(4), (integer, decimals) => {
        assert.equal(scaled(unscaled(integer, decimals), decimals), integer + 0);
      }),
    );
  });
});

describe("slots of a block", () => {
  it("are exactly the multiples of the step inside its ten minutes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3_000_000 }),
        fc.integer({ min: 1, max: 300 }),
        (block, seconds) => {
          const [startMs, stepMs] = [block * 600_000, seconds * 1_000];
          const grid = slotGrid({ startMs, lengthMs: 600_000 }, stepMs);
          const times = Array.from({ length: grid.count }, (_, position) => grid.toMs(position));
          const first = times[0] ?? Number.NaN;
          assert.ok(first >= startMs && first - stepMs < startMs);
          const last = times.at(-1) ?? Number.NaN;
          assert.ok(last < startMs + 600_000 && last + stepMs >= startMs + 600_000);
          for (const [position, timeMs] of times.entries()) {
            assert.equal(timeMs % stepMs, 0);
            assert.equal(grid.toPosition(timeMs), position);
          }
        },
      ),
    );
  });
});
