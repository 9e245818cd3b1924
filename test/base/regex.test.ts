import assert from "node:assert/strict";
import fc from "fast-check";
import { compileRegex } from "../../src/base/regex/index.ts";
import { AgentError } from "../../src/core/errors.ts";

const test = (pattern: string, text: string, steps = 1e9): boolean =>
  compileRegex(pattern, { steps })(text);

/** Patterns on which JavaScript and RE2 agree, over few letters, so that texts often fit. */
const atom: fc.Arbitrary<string> = fc.constantFrom(
  "a",
  "b",
  "c",
  ".",
  "[ab]",
  "[^a]",
  "[a-c]",
  "\\d",
  "\\w",
  "\\.",
  "\\b",
  "^",
  "$",
  "é",
  "[b-]",
);
const pattern = fc.letrec<{ tree: string }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    atom,
    fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => a + b),
    fc.tuple(tie("tree"), tie("tree")).map(([a, b]) => `(?:${a}|${b})`),
    fc
      .tuple(tie("tree"), fc.constantFrom("*", "+", "?", "{2}", "{1,2}", "{1,}", "*?", "+?"))
      .map(([a, sign]) => `(${a})${sign}`),
  ),
})).tree;
const text = fc
  .array(fc.constantFrom("a", "b", "c", ".", "1", "-", "é", "\n"), { maxLength: 7 })
  .map((chars) => chars.join(""));

describe("regular expressions", () => {
  it("fit what JavaScript's fit, over whole texts", () => {
    fc.assert(
      fc.property(pattern, fc.array(text, { minLength: 1 }), (pattern, texts) => {
        // One after the other: what was remembered of a text must not count for the next.
        const fits = compileRegex(pattern, { steps: 1e9 });
        const theirs = new RegExp(`^(?:${pattern})$`, "su");
        for (const text of texts) assert.equal(fits(text), theirs.test(text), text);
      }),
      { numRuns: 2_000 },
    );
  });

  it("fit whole texts only, line breaks and characters beyond 16 bits included", () => {
    const cases: [pattern: string, text: string, fits: boolean][] = [
      ["web", "web-1", false],
      ["web.*", "web-1", true],
      ["a|b", "ab", false],
      ["", "", true],
      ["", "a", false],
      [".*", "a\nb", true],
      ["(?-s).*", "a\nb", false],
      [".", "😀", true],
      ["[😀-😂]{2}", "😀😁", true],
      ["(?i)WEB-[a-c]É", "web-Bé", true],
      ["(?i:a)b", "AB", false],
      ["(a(?i)b)c", "aBc", true],
      ["(a(?i)b)c", "aBC", false],
      ["(?P<name>a)(?<other>b)", "ab", true],
      ["\\Qa.b|\\E+", "a.b||", true],
      ["\\x41\\x{1F600}\\t", "A😀\t", true],
      ["[[:alpha:]_]+[[:^digit:]]", "a_b", true],
      ["[]a]+", "]a", true],
      ["[^]]", "a", true],
      ["[\\]\\d-]+", "]1-", true],
      ["a{,2}", "a{,2}", true],
      ["a{2,3}", "aaaa", false],
      ["(?m)a$\\n^b", "a\nb", true],
      ["a$\\nb", "a\nb", false],
      ["\\Aa\\z", "a", true],
      ["a\\Bb", "ab", true],
      ["\\D\\S\\W", "aa-", true],
    ];
    for (const [pattern, text, fits] of cases)
      assert.equal(test(pattern, text), fits, `${pattern} on ${JSON.stringify(text)}`);
  });

  it("refuse what RE2 refuses, and what only backtracking could do", () => {
    const wrong = [
      "(",
      ")",
      "a)",
      "[a",
      "[b-a]",
      "*",
      "a**",
      "a{3,2}",
      "a{1001}",
      "\\",
      "\\1",
      "(?=a)",
      "(?!a)",
      "(?<=a)",
      "\\pL",
      "\\k",
      "[[:nope:]]",
      "(?x)a",
      "(a{500}){500}",
      "(".repeat(5_000),
    ];
    for (const pattern of wrong)
      assert.throws(
        () => test(pattern, "a"),
        (cause) =>
          cause instanceof AgentError &&
          cause.code === "INPUT_INVALID" &&
          cause.message.startsWith("invalid regular expression: "),
        pattern,
      );
  });

  it("take time by the length of pattern and text, whatever the pattern", () => {
    const evil = [
      "(a+)+",
      "(a|a)*",
      "(a|aa)+",
      "a*a*a*a*a*a*a*a*a*a*b",
      "(.*a){20}",
      "((a?){20}a?)+",
    ];
    const long = `${"a".repeat(2_000)}!`;
    const budget = { steps: 20_000_000 };
    for (const pattern of evil) assert.equal(compileRegex(pattern, budget)(long), false, pattern);
    assert.ok(budget.steps > 0);
  });

  it("stop when their work is used up, however many share it", () => {
    const budget = { steps: 30_000 };
    const first = compileRegex("(a|b)*a(a|b){12}", budget);
    const second = compileRegex("(b|a)*b(a|b){12}", budget);
    first("ab");
    assert.ok(budget.steps < 30_000);
    assert.throws(
      () => {
        for (let count = 0; count < 4_096; count++) {
          const text = count.toString(2).replaceAll("0", "a").replaceAll("1", "b");
          first(text);
          second(text);
        }
      },
      (cause) => cause instanceof AgentError && cause.code === "LIMIT_EXCEEDED",
    );
  });

  it("read the names of a thousand nodes as alternatives", () => {
    const names = Array.from({ length: 1_000 }, (_, at) => `node-${at}.example.com`);
    const fits = compileRegex(names.map((name) => name.replaceAll(".", "\\.")).join("|"), {
      steps: 20_000_000,
    });
    assert.ok(names.every((name) => fits(name)));
    assert.ok(!fits("node-1000.example.com") && !fits("node-1xexample.com"));
  });
});
