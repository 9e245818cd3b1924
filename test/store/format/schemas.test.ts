import assert from "node:assert/strict";
import fc from "fast-check";
import { AgentError } from "../../../src/core/errors.ts";
import type { BlockSchema, SchemaColumn } from "../../../src/store/contract.ts";
import {
  chooseSchema,
  formatSchema,
  maxColumns,
  maxSchemas,
  parseSchema,
} from "../../../src/store/format/schemas.ts";

const cpu: SchemaColumn = ["cpu", 1, "%"];
const memory: SchemaColumn = ["memory", 1, "%"];
const data: SchemaColumn = ['disk{mount="/data"}', 1, "%"];

function schema(...columns: SchemaColumn[]): BlockSchema {
  return { stepMs: 10_000, columns };
}

function choose(stored: Record<number, BlockSchema>, wanted: BlockSchema) {
  const known = new Map(Object.entries(stored).map(([number, one]) => [Number(number), one]));
  return chooseSchema(known, new Set(known.keys()), wanted);
}

describe("block schemas", () => {
  it("are kept as the JSON others read", () => {
    assert.equal(formatSchema(schema(cpu)), '{"step_ms":10000,"series":[["cpu",1,"%"]]}');
  });

  it("come back as they were written", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1_000, max: 300_000 }),
        fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 20 }),
        fc.nat(15),
        fc.string(),
        (stepMs, keys, decimals, unit) => {
          const written = {
            stepMs,
            columns: keys.map((key): SchemaColumn => [key, decimals, unit]),
          };
          assert.deepEqual(parseSchema(formatSchema(written)), written);
        },
      ),
    );
  });

  it("are refused with every fault and its path", () => {
    const text = '{"step_ms":0,"series":[["cpu",1,"%"],["x",-1,""],7,["cpu",1,"%"]]}';
    assert.throws(
      () => parseSchema(text),
      (cause: unknown) => {
        assert.ok(cause instanceof AgentError);
        assert.equal(cause.code, "BLOCK_INVALID");
        assert.deepEqual(
          cause.faults.map(({ path }) => path),
          ["step_ms", "series[1]", "series[2]", "series"],
        );
        return true;
      },
    );
  });

  it("never throw anything but BLOCK_INVALID on any text", () => {
    const endless = Array.from({ length: maxColumns + 1 }, (_, n) => [`s${n}`, 1, ""]);
    const odd = ["", "null", "[]", "{}", '{"step_ms":"10","series":{}}', "{", "\u0000"];
    odd.push(JSON.stringify({ step_ms: 10_000, series: endless }));
    for (const text of odd)
      assert.throws(
        () => parseSchema(text),
        (cause: unknown) => cause instanceof AgentError && cause.code === "BLOCK_INVALID",
        text.slice(0, 40),
      );
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        assert.throws(() => parseSchema(text), AgentError);
      }),
    );
  });

  it("reuse one of the day that has all series", () => {
    const choice = choose({ 3: schema(cpu, memory) }, schema(cpu, memory));
    assert.deepEqual(choice, { kind: "known", number: 3, schema: schema(cpu, memory) });
  });

  it("stay the same when a series vanishes", () => {
    const choice = choose({ 1: schema(cpu, memory, data) }, schema(cpu, memory));
    assert.deepEqual(choice, { kind: "known", number: 1, schema: schema(cpu, memory, data) });
  });

  it("grow at the end when a series comes", () => {
    const choice = choose({ 1: schema(cpu, data) }, schema(memory, cpu));
    assert.deepEqual(choice, { kind: "new", number: 2, schema: schema(cpu, data, memory) });
  });

  it("are new for another step, and take the lowest free number", () => {
    const other = { stepMs: 15_000, columns: [cpu] };
    const choice = choose({ 1: other, 3: other }, schema(cpu));
    assert.deepEqual(choice, { kind: "new", number: 2, schema: schema(cpu) });
  });

  it("are new when a series is kept with another precision", () => {
    const finer: SchemaColumn = ["cpu", 2, "%"];
    const choice = choose({ 1: schema(cpu, memory) }, schema(finer));
    assert.deepEqual(choice, { kind: "new", number: 2, schema: schema(memory, finer) });
  });

  it("do not take the number of one that cannot be read", () => {
    assert.equal(
      (chooseSchema(new Map(), new Set([1, 2]), schema(cpu)) as { number: number }).number,
      3,
    );
  });

  it("do not grow past the limit of columns", () => {
    const many = Array.from({ length: maxColumns }, (_, n): SchemaColumn => [`old${n}`, 0, ""]);
    const choice = choose({ 1: schema(...many) }, schema(cpu));
    assert.deepEqual(choice, { kind: "new", number: 2, schema: schema(cpu) });
  });

  it("fall back to the nearest when all numbers are taken", () => {
    const all = Object.fromEntries(
      Array.from({ length: maxSchemas }, (_, n) => [n + 1, schema([`s${n}`, 0, ""])]),
    );
    const full = choose({ ...all, 7: schema(cpu) }, schema(cpu, memory));
    assert.deepEqual(full, { kind: "full", nearest: { number: 7, schema: schema(cpu) } });
    const none = choose(all, { stepMs: 5_000, columns: [cpu] });
    assert.deepEqual(none, { kind: "full", nearest: null });
  });
});
