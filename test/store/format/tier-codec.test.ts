import assert from "node:assert/strict";
import { brotliCompressSync, constants } from "node:zlib";
import fc from "fast-check";
import {
  addPoints,
  addSample,
  createPoints,
  type Points,
} from "../../../src/store/format/points.ts";
import {
  decodeCoverage,
  decodeTier,
  encodeCoverage,
  encodeTier,
  pointsPerDay,
} from "../../../src/store/format/tier-codec.ts";
import { isInvalid, orRefused } from "../../support/invalid.ts";

const widest = 2 ** 53;

const value = fc.oneof(
  fc.integer({ min: -1_000, max: 1_000 }),
  fc.integer({ min: 0, max: 3 }),
  fc.maxSafeInteger(),
  fc.constantFrom(widest, -widest, widest - 1, 1 - widest, 0),
);

/** Samples of any five minutes of a day. */
const samples = fc.array(fc.tuple(fc.nat(pointsPerDay - 1), fc.array(value, { maxLength: 12 })), {
  maxLength: 40,
});

function pointsOf(list: readonly (readonly [number, readonly number[]])[]): Points {
  const points = createPoints(pointsPerDay);
  for (const [at, values] of list) for (const one of values) addSample(points, at, one);
  return points;
}

const covered = fc.record({
  revision: fc.nat(100_000),
  points: fc.nat(pointsPerDay),
  present: fc
    .array(fc.nat(1), { minLength: pointsPerDay, maxLength: pointsPerDay })
    .map((list) => Uint8Array.from(list)),
});

describe("tier of a day", () => {
  it("gives back counts, minima, maxima and sums of any samples", async () => {
    await fc.assert(
      fc.asyncProperty(samples, fc.nat(15), async (list, decimals) => {
        const points = pointsOf(list);
        for (const quality of [5, 11])
          assert.deepEqual(decodeTier(await encodeTier({ decimals, points }, quality)), {
            decimals,
            points,
          });
      }),
      { numRuns: 80 },
    );
  });

  it("gives back how far it reaches and where there are rows, in some bytes", () => {
    fc.assert(
      fc.property(covered, (coverage) => {
        assert.deepEqual(decodeCoverage(encodeCoverage(coverage)), { ...coverage });
      }),
    );
    const present = new Uint8Array(pointsPerDay).fill(1);
    assert.ok(encodeCoverage({ revision: 1, points: 288, present }).length < 8);
  });

  it("joins points into the points of their samples together", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -9_999, max: 9_999 })), fc.nat(20), (all, cut) => {
        const into = createPoints(1);
        for (const part of [all.slice(0, cut), all.slice(cut)])
          addPoints(into, Uint32Array.of(0), { from: pointsOf([[7, part]]), begin: 7, scale: 10 });
        assert.equal(into.counts[0], all.length);
        if (all.length === 0) return;
        assert.equal(
          into.sums[0],
          all.reduce((sum, one) => sum + one * 10, 0),
        );
        assert.equal(into.mins[0], Math.min(...all) * 10);
        assert.equal(into.maxs[0], Math.max(...all) * 10);
      }),
    );
  });

  it("never makes anything but a tier or a refusal of random and of changed bytes", async () => {
    await fc.assert(
      fc.asyncProperty(
        samples,
        covered,
        fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })),
        fc.uint8Array({ maxLength: 200 }),
        async (list, coverage, [at, flip], bytes) => {
          const written = await encodeTier({ decimals: 1, points: pointsOf(list) }, 5);
          const said = encodeCoverage(coverage);
          for (const blob of [written, said])
            blob[at % blob.length] = (blob[at % blob.length] ?? 0) ^ flip;
          const packed = Buffer.concat([Buffer.from([1, 1]), brotliCompressSync(bytes)]);
          for (const blob of [written, said, bytes, packed]) {
            orRefused(() => decodeTier(blob));
            orRefused(() => decodeCoverage(blob));
          }
        },
      ),
      { numRuns: 80 },
    );
  });

  it("refuses every truncation, another version and a bomb", async () => {
    const points = pointsOf([
      [0, [1, 2, 300]],
      [5, [widest, widest]],
      [287, [-7, 7]],
    ]);
    const blob = await encodeTier({ decimals: 1, points }, 11);
    for (let length = 0; length < blob.length; length++)
      assert.throws(() => decodeTier(blob.subarray(0, length)), isInvalid);
    const said = encodeCoverage({ revision: 9, points: 3, present: new Uint8Array(288).fill(1) });
    for (let length = 0; length < said.length; length++)
      assert.throws(() => decodeCoverage(said.subarray(0, length)), isInvalid);
    assert.throws(() => decodeTier(Uint8Array.from([2, ...blob.subarray(1)])), /version 2/);
    assert.throws(() => decodeCoverage(Uint8Array.from([2, ...said.subarray(1)])), /version 2/);
    const packed = brotliCompressSync(Buffer.alloc(50_000_000, 1), {
      params: { [constants.BROTLI_PARAM_QUALITY]: 1 },
    });
    const bomb = Buffer.concat([Buffer.from([1, 1]), packed]);
    assert.throws(() => decodeTier(bomb), /cannot be unpacked/);
  });
});
