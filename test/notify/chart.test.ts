import assert from "node:assert/strict";
import { crc32, inflateSync } from "node:zlib";
import fc from "fast-check";
import { chartSize, drawChart, type Chart } from "../../src/notify/chart/draw.ts";
import { encodePng } from "../../src/notify/chart/png.ts";

/** A PNG file, read back by the specification and not by our own words. */
interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly colourAt: (x: number, y: number) => number;
}

function chunksOf(png: Buffer): ReadonlyMap<string, Buffer> {
  assert.equal(png.subarray(0, 8).toString("latin1"), "\x89PNG\r\n\x1a\n");
  const chunks = new Map<string, Buffer>();
  let at = 8;
  while (at < png.length) {
    const length = png.readUInt32BE(at);
    const body = png.subarray(at + 4, at + 8 + length);
    assert.equal(png.readUInt32BE(at + 8 + length), crc32(body), "checksum");
    chunks.set(body.toString("latin1", 0, 4), body.subarray(4));
    at += 12 + length;
  }
  assert.equal(at, png.length);
  return chunks;
}

/** Undoes the filters None and Up, the only ones a chart has. */
function unfiltered(data: Buffer, width: number, height: number): Uint8Array {
  const pixels = new Uint8Array(width * height);
  assert.equal(data.length, (width + 1) * height);
  for (let y = 0; y < height; y++) {
    const filter = data[y * (width + 1)]!;
    assert.ok(filter === 0 || filter === 2, `filter ${filter}`);
    for (let x = 0; x < width; x++) {
      const above = y === 0 || filter === 0 ? 0 : pixels[(y - 1) * width + x]!;
      pixels[y * width + x] = data[y * (width + 1) + 1 + x]! + above;
    }
  }
  return pixels;
}

function decode(png: Buffer): Decoded {
  const chunks = chunksOf(png);
  assert.deepEqual([...chunks.keys()], ["IHDR", "PLTE", "IDAT", "IEND"]);
  const header = chunks.get("IHDR")!;
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  // 8 bits, a palette, deflate, the one set of filters, not interlaced.
  assert.deepEqual([...header.subarray(8)], [8, 3, 0, 0, 0]);
  const palette = chunks.get("PLTE")!;
  const pixels = unfiltered(inflateSync(chunks.get("IDAT")!), width, height);
  assert.ok(pixels.every((place) => place * 3 < palette.length));
  return {
    width,
    height,
    colourAt: (x, y) => palette.readUIntBE(3 * pixels[y * width + x]!, 3),
  };
}

const red = 0xc62828;
const white = 0xffffff;
const area = 0xe8eef4;
const line = 0x37566f;

function chart(values: readonly (number | null)[], changes: Partial<Chart> = {}): Decoded {
  const png = drawChart({ values, threshold: 50, colour: red, ...changes });
  assert.ok(png !== null);
  return decode(png);
}

describe("a PNG", () => {
  it("is read back as it was written", () => {
    const size = { width: fc.integer({ min: 1, max: 9 }), height: fc.integer({ min: 1, max: 9 }) };
    const palette = fc.array(fc.integer({ min: 0, max: white }), { minLength: 1, maxLength: 256 });
    fc.assert(
      fc.property(fc.record(size), palette, fc.infiniteStream(fc.nat()), (size, palette, any) => {
        const places = Array.from(
          { length: size.width * size.height },
          () => any.next().value % palette.length,
        );
        const pixels = Uint8Array.from(places);
        const { width, height, colourAt } = decode(encodePng({ ...size, palette, pixels }));
        assert.deepEqual({ width, height }, { ...size });
        for (const [at, place] of places.entries())
          assert.equal(colourAt(at % width, Math.floor(at / width)), palette[place]);
      }),
    );
  });

  it("has 256 colours at most", () => {
    const palette = Array.from({ length: 257 }, (_, colour) => colour);
    assert.throws(
      () => encodePng({ width: 1, height: 1, palette, pixels: new Uint8Array(1) }),
      /at most 256 colours, got 257/,
    );
  });
});

describe("a chart", () => {
  const height = chartSize.height;
  const top = 12;
  const bottom = height - 12;
  const middle = height / 2;

  it("is a line from the lowest to the highest, with the threshold across in the level's colour", () => {
    const { width, height, colourAt } = chart([0, 100, 100, 0, 0]);
    assert.deepEqual({ width, height }, chartSize);
    // Values at x = 8, 154, 300, 446 and 592; rows 79 and 80 are the threshold.
    assert.equal(colourAt(230, top), line);
    assert.equal(colourAt(230, top - 3), white);
    assert.equal(colourAt(230, top + 20), area);
    assert.equal(colourAt(500, bottom), line);
    assert.equal(colourAt(500, bottom - 3), white);
    for (const x of [0, 230, width - 1])
      assert.deepEqual(
        [middle - 1, middle].map((y) => colourAt(x, y)),
        [red, red],
      );
    assert.deepEqual([colourAt(0, middle - 2), colourAt(0, middle + 1)], [white, white]);
    assert.equal(colourAt(592, bottom), red, "the last value is marked");
  });

  it("has a gap where values are missing, and a dot where one stands alone", () => {
    const { colourAt } = chart([100, 100, null, 0, null, 100, 100]);
    const stepX = 584 / 6;
    const at = (value: number): number => Math.round(8 + value * stepX);
    assert.equal(colourAt(at(0.5), top), line);
    for (let y = 0; y < height; y++) {
      const expected = y === middle - 1 || y === middle ? red : white;
      for (const value of [1.5, 2, 2.5, 3.5, 4, 4.5])
        assert.equal(colourAt(at(value), y), expected, `${value} at ${y}`);
    }
    assert.equal(colourAt(at(3), bottom), line);
    assert.equal(colourAt(at(5.5), top), line);
  });

  it("reaches as far as the threshold, when the values do not", () => {
    const { colourAt } = chart([10, 20, 10], { threshold: 100 });
    assert.equal(colourAt(300, top), red);
    assert.notEqual(colourAt(300, top + 10), line);
  });

  it("lies in the middle when all values and the threshold are the same, or there is none", () => {
    for (const threshold of [null, 7])
      assert.equal(chart([7, 7, 7], { threshold }).colourAt(300, middle), line);
  });

  it("is not drawn of fewer than three known values", () => {
    for (const values of [[], [1], [1, 2], [1, null, 2], [null, null, null], [1, 2, Infinity]])
      assert.equal(drawChart({ values, threshold: 1, colour: red }), null);
  });

  it("is a valid file of less than 10 kB, whatever the values", () => {
    const number = fc.oneof(
      fc.double({ noNaN: true }),
      fc.double({ noNaN: true, min: 0, max: 100 }),
      fc.constantFrom(0, 100, -1e308, 1e308, 5e-324),
    );
    const constant = fc
      .tuple(number, fc.nat({ max: 400 }))
      .map(([value, length]) => Array<number>(length).fill(value));
    const values = fc.oneof(
      fc.array(fc.option(number), { maxLength: 400 }),
      fc.array(fc.double({ noNaN: true, min: 0, max: 1 }), {
        minLength: 100,
        maxLength: 400,
        size: "max",
      }),
      constant,
    );
    fc.assert(
      fc.property(values, fc.option(number), (values, threshold) => {
        const png = drawChart({ values, threshold, colour: red });
        const known = values.filter((value) => value !== null && Number.isFinite(value));
        assert.equal(png === null, known.length < 3);
        if (png === null) return;
        const { width, height } = decode(png);
        assert.deepEqual({ width, height }, chartSize);
        assert.ok(png.length < 10_000, `${png.length} bytes`);
      }),
    );
  });
});
