import assert from "node:assert/strict";
import fc from "fast-check";
import { parseJson } from "../../src/api/json.ts";
import { AgentError } from "../../src/core/errors.ts";

function faultOf(text: string): { path: string; message: string } {
  try {
    parseJson(text);
  } catch (cause) {
    assert.ok(cause instanceof AgentError);
    assert.equal(cause.code, "INPUT_INVALID");
    return cause.faults[0]!;
  }
  throw new Error(`accepted: ${text}`);
}

function accepts(parse: (text: string) => unknown, text: string): boolean {
  try {
    parse(text);
    return true;
  } catch {
    return false;
  }
}

describe("the JSON of requests", () => {
  it("reads what JSON.stringify wrote", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(
          !/__proto__|constructor|toString|valueOf|hasOwn|isProto|propertyIs|toLocale/.test(text),
        );
        assert.deepEqual(parseJson(text), JSON.parse(text));
      }),
    );
  });

  it("accepts and refuses the same texts as JSON.parse", () => {
    const piece = fc.constantFrom(
      ...'{}[]:,"\\ \n\t'.split(""),
      "true",
      "nul",
      "null",
      "-",
      "0",
      "01",
      "1.5",
      "1.",
      "e5",
      "1e5",
      '"a"',
      '"b"',
      '"\\u00e9"',
      '"\\x"',
      "\u0000",
      "\u007f",
      '"\u0085"',
      "\ufeff",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const text = pieces.join("");
        const expected = accepts(JSON.parse, text);
        const got = accepts(parseJson, text);
        // Only a key given twice is refused beyond JSON.parse.
        assert.ok(got === expected || /given twice/.test(faultOf(text).message), text);
      }),
      { numRuns: 2_000 },
    );
  });

  it("says where the text is wrong and never quotes it", () => {
    const fault = faultOf('{"secret": "hunter2",\n "x": nope}');
    assert.match(fault.message, /line 2, column 7/);
    assert.doesNotMatch(fault.message, /hunter2|nope/);
    assert.match(faultOf("").message, /expected a value at line 1, column 1/);
    assert.match(faultOf("{} x").message, /expected the end/);
    assert.match(faultOf("[1 2]").message, /expected "," or "]"/);
    assert.match(faultOf('{"a" 1}').message, /expected ":"/);
    assert.match(faultOf("{a: 1}").message, /key in double quotes/);
  });

  it("refuses keys given twice and keys every object has", () => {
    assert.deepEqual(faultOf('{"labels":{"a":"1","a":"2"}}').path, "labels.a");
    assert.match(faultOf('{"a":1,"\\u0061":2}').message, /given twice/);
    for (const key of ["__proto__", "constructor", "toString"])
      assert.match(faultOf(`{"${key}":{"polluted":true}}`).message, /not allowed/);
  });

  it("refuses deep nesting instead of following it", () => {
    assert.match(faultOf("[".repeat(30_000)).message, /nested deeper/);
    assert.match(faultOf('{"a":'.repeat(10_000)).message, /nested deeper/);
    assert.doesNotThrow(() => parseJson(`${"[".repeat(20)}${"]".repeat(20)}`));
  });

  it("reads the longest possible string in one go", () => {
    const text = JSON.stringify("é\\".repeat(20_000));
    assert.equal(parseJson(text), JSON.parse(text));
  });
});
