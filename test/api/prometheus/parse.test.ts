import assert from "node:assert/strict";
import fc from "fast-check";
import { parsePromDurationMs, parseSecondsMs } from "../../../src/api/prometheus/durations.ts";
import { fitsAll } from "../../../src/api/prometheus/matchers.ts";
import { parseQuery, parseSelectors } from "../../../src/api/prometheus/parse.ts";
import type { Expression } from "../../../src/api/prometheus/syntax.ts";
import { AgentError } from "../../../src/core/errors.ts";

const scalar = (query: string): number => {
  const parsed = parseQuery(query);
  assert.equal(parsed.kind, "scalar", query);
  return parsed.kind === "scalar" ? parsed.value : Number.NaN;
};
const fits = (query: string, labels: Record<string, string>): boolean => {
  const parsed = parseQuery(query);
  return parsed.kind === "series" && fitsAll(parsed.matchers, labels);
};
const windowOf = (query: string): (Expression & { kind: "series" })["window"] => {
  const parsed = parseQuery(query);
  return parsed.kind === "series" ? parsed.window : null;
};
const cpu = { __name__: "targetvpc_index", index: "cpu", node: "web-1", cluster: "east" };

describe("the query language", () => {
  it("reads selectors with every kind of matcher; a missing label is an empty one", () => {
    const yes = [
      "targetvpc_index",
      "targetvpc_index{}",
      "(targetvpc_index)",
      '{__name__="targetvpc_index"}',
      '{__name__=~"target.*", index!=""}',
      'targetvpc_index{index="cpu",}',
      " targetvpc_index { index = 'cpu' , node =~ `web-\\d` } # a comment",
      'targetvpc_index{mount="",node!~"db.*"}',
      'targetvpc_index{mount!~".+"}',
      'targetvpc_index{index="\\x63\\u0070\\165"}',
      '{index="cpu"}',
    ];
    for (const query of yes) assert.ok(fits(query, cpu), query);
    const no = [
      "up",
      'targetvpc_index{index="cp"}',
      'targetvpc_index{index=~"cp"}',
      'targetvpc_index{index!~"c.*"}',
      'targetvpc_index{mount!=""}',
      'targetvpc_index{toString="x"}',
      'targetvpc_index{node="web-1",node="web-2"}',
    ];
    for (const query of no) assert.ok(!fits(query, cpu), query);
  });

  it("reads the three functions over a window", () => {
    assert.deepEqual(windowOf('avg_over_time(targetvpc_index{index="cpu"}[5m])'), {
      overTime: "avg",
      rangeMs: 300_000,
    });
    assert.deepEqual(windowOf("max_over_time( targetvpc_index [1h30m] )"), {
      overTime: "max",
      rangeMs: 5_400_000,
    });
    assert.deepEqual(windowOf('(min_over_time({index="cpu"}[90]))'), {
      overTime: "min",
      rangeMs: 90_000,
    });
  });

  it("reckons with numbers", () => {
    assert.equal(scalar("1+1"), 2);
    assert.equal(scalar("2+3*4-10/5"), 12);
    assert.equal(scalar("(2+3)*-4"), -20);
    assert.equal(scalar("8/2/2"), 2);
    assert.equal(scalar("1-2-3"), -4);
    assert.equal(scalar("1/0"), Number.POSITIVE_INFINITY);
    assert.equal(scalar("-Inf"), Number.NEGATIVE_INFINITY);
    assert.ok(Number.isNaN(scalar("nan + 1")));
    assert.equal(scalar("0x1F + .5e1 + 1. + 1E-1"), 37.1);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom("+", "-", "*", "/"), fc.integer({ min: 1, max: 9 })), {
          maxLength: 8,
        }),
        (parts) => {
          // A product belongs to the sign before it.
          const terms = [3];
          for (const [sign, number] of parts) {
            const last = terms.pop() ?? 0;
            if (sign === "*") terms.push(last * number);
            else if (sign === "/") terms.push(last / number);
            else terms.push(last, sign === "+" ? number : -number);
          }
          const text = `3${parts.map(([sign, number]) => ` ${sign} ${number}`).join("")}`;
          assert.equal(
            scalar(text),
            terms.reduce((sum, term) => sum + term),
          );
        },
      ),
    );
  });

  it("refuses everything else, with the place and what there is instead", () => {
    const cases: [query: string, place: string, message: RegExp][] = [
      ["", "1:1", /unexpected end of the query; supported are/],
      ["sum(targetvpc_index)", "1:1", /function "sum" is not supported; supported are/],
      ["rate(targetvpc_index[5m])", "1:1", /function "rate"/],
      ["sum by (node) (targetvpc_index)", "1:5", /unexpected "by"/],
      ["targetvpc_index * 2", "1:17", /arithmetic with series/],
      ["2 * targetvpc_index", "1:3", /arithmetic with series/],
      ["-targetvpc_index", "1:1", /arithmetic with series/],
      ["targetvpc_index[5m]", "1:16", /only inside of a function/],
      ["avg_over_time(targetvpc_index)", "1:30", /expected a range/],
      ["avg_over_time(targetvpc_index[5x])", "1:31", /unexpected "5"/],
      ["avg_over_time(targetvpc_index[0s])", "1:31", /greater than 0/],
      ["avg_over_time(targetvpc_index[5m:1m])", "1:33", /unexpected ":1m"/],
      ["avg_over_time(targetvpc_index[1m1h])", "1:31", /expected a duration/],
      ["avg_over_time(targetvpc_index[5m]) offset 1h", "1:36", /unexpected "offset"/],
      ["targetvpc_index @ 1", "1:17", /unexpected "@"/],
      ["1 == 1", "1:3", /unexpected "=="/],
      ["2 ^ 2", "1:3", /unexpected "\^"/],
      ["targetvpc_index{\n  index=cpu}", "2:9", /unexpected "cpu"/],
      ["targetvpc_index{index}", "1:22", /expected one of = != =~ !~/],
      ['targetvpc_index{"index"="cpu"}', "1:17", /unexpected "index"/],
      ['targetvpc_index{index="cpu" node="a"}', "1:29", /unexpected "node"/],
      ['targetvpc_index{index="cpu"', "1:28", /unexpected end/],
      ['targetvpc_index{index="cpu', "1:23", /unterminated quoted string/],
      ['targetvpc_index{index="\\q"}', "1:24", /unknown escape/],
      ['targetvpc_index{index=~"("}', "1:24", /invalid regular expression: missing closing \)/],
      ['targetvpc_index{__name__="x"}', "1:17", /must not be set twice/],
      ["{}", "1:1", /at least one non-empty matcher/],
      ['{index=~".*"}', "1:1", /at least one non-empty matcher/],
      ["1 1", "1:3", /unexpected "1"/],
      ["é", "1:1", /unexpected "é"/],
      ["(1", "1:3", /unexpected end/],
      ['"text"', "1:1", /unexpected "text"/],
      ["(".repeat(1_000), "1:102", /nested too deeply/],
      ["-".repeat(100_000), "1:102", /nested too deeply/],
    ];
    for (const [query, place, message] of cases)
      assert.throws(
        () => parseQuery(query),
        (cause) => {
          assert.ok(cause instanceof AgentError && cause.code === "INPUT_INVALID", query);
          assert.ok(cause.message.startsWith(`${place}: parse error: `), cause.message);
          assert.match(cause.message, message);
          return true;
        },
        query,
      );
  });

  it("never fails in another way, whatever it is given", () => {
    const pieces = fc.constantFrom(
      "targetvpc_index",
      "avg_over_time",
      "{",
      "}",
      "(",
      ")",
      "[",
      "]",
      "=",
      "=~",
      '"a"',
      "5m",
      "1",
      "+",
      "-",
      ",",
      " ",
      "index",
      '"',
      "\\",
      "`",
      "\n",
      "#",
      "(a+",
      ":",
      "é",
      "\u{1F600}",
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(pieces).map((list) => list.join("")),
          fc.string(),
        ),
        (query) => {
          try {
            parseQuery(query);
          } catch (cause) {
            assert.ok(cause instanceof AgentError, String(cause));
            assert.match(cause.message, /^\d+:\d+: parse error: /);
          }
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it("reads back what a writer of selectors escapes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (value) => {
        const quoted = JSON.stringify(value).replaceAll(/\\\//g, "/");
        assert.ok(fits(`{node=${quoted}}`, { node: value }), quoted);
        assert.ok(!fits(`{node=${quoted}}`, { node: `${value}x` }), quoted);
      }),
    );
  });

  it("takes nothing but a selector in match[]", () => {
    assert.equal(parseSelectors(["targetvpc_index", '{node="a"}']).length, 2);
    for (const text of ["1", "avg_over_time(targetvpc_index[5m])", "targetvpc_index[5m]", "(a)"])
      assert.throws(() => parseSelectors([text]), AgentError, text);
  });
});

describe("durations and times of Prometheus", () => {
  it("are read as there: each unit once and in order", () => {
    const cases: [text: string, ms: number | null][] = [
      ["5m", 300_000],
      ["1h30m", 5_400_000],
      ["1d", 86_400_000],
      ["1w", 604_800_000],
      ["1y", 31_536_000_000],
      ["1s500ms", 1_500],
      ["0s", 0],
      ["1m1h", null],
      ["1.5h", null],
      ["5m5m", null],
      ["5", null],
      ["", null],
      ["-5m", null],
    ];
    for (const [text, ms] of cases) assert.equal(parsePromDurationMs(text), ms, text);
  });

  it("are seconds with a fraction and an exponent too", () => {
    assert.equal(parseSecondsMs("1435781451.781"), 1_435_781_451_781);
    assert.equal(parseSecondsMs("1.5e3"), 1_500_000);
    assert.equal(parseSecondsMs("-1"), -1_000);
    for (const text of ["", "x", "1,5", "0x10", "1e999", " 1"])
      assert.equal(parseSecondsMs(text), null, text);
  });
});
