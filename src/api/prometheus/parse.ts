import type { RegexBudget } from "../../base/regex/index.ts";
import { AgentError } from "../../core/errors.ts";
import { parsePromDurationMs, parseSecondsMs } from "./durations.ts";
import { createMatcher, createRegexBudget, matchOperators } from "./matchers.ts";
import type { Expression, Matcher, OverTime, SeriesExpression } from "./syntax.ts";
import { parseFault, supported, type Token, type TokenKind, tokensOf } from "./tokens.ts";

const functions = new Map<string, OverTime>([
  ["avg_over_time", "avg"],
  ["max_over_time", "max"],
  ["min_over_time", "min"],
]);

/** Operators by how tightly they bind. */
const operators: ReadonlyMap<string, { readonly level: number; of(a: number, b: number): number }> =
  new Map([
    ["+", { level: 1, of: (a: number, b: number) => a + b }],
    ["-", { level: 1, of: (a: number, b: number) => a - b }],
    ["*", { level: 2, of: (a: number, b: number) => a * b }],
    ["/", { level: 2, of: (a: number, b: number) => a / b }],
  ]);
/** Names that are numbers, in any case. */
const namedNumbers = new Map([
  ["inf", Number.POSITIVE_INFINITY],
  ["nan", Number.NaN],
]);
const labelName = /^[a-zA-Z_][a-zA-Z0-9_]*$/;
/** Parentheses and signs before one number; nobody writes ten. */
const maxDepth = 100;
/** The longest range there is: what is kept is kept for 90 days. */
const maxRangeMs = 366 * 86_400_000;

class QueryParser {
  readonly #query: string;
  readonly #budget: RegexBudget;
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  constructor(query: string, budget: RegexBudget) {
    this.#query = query;
    this.#budget = budget;
    this.#tokens = tokensOf(query);
  }

  whole(): Expression {
    const expression = this.#binary(1);
    this.#end();
    return expression;
  }

  /** A selector and nothing else. */
  onlySelector(): readonly Matcher[] {
    const matchers = this.#selector();
    this.#end();
    return matchers;
  }

  #fault(message: string, at = this.#token().at): AgentError {
    return parseFault(this.#query, at, message);
  }

  #token(): Token {
    // The last one is the end, behind which nothing is.
    return this.#tokens[this.#at] ?? { kind: "end", text: "", at: this.#query.length };
  }

  #take(kind: TokenKind): Token | null {
    const token = this.#token();
    if (token.kind !== kind) return null;
    this.#at++;
    return token;
  }

  #unexpected(): AgentError {
    const { kind, text } = this.#token();
    const what = kind === "end" ? "end of the query" : JSON.stringify(text);
    return this.#fault(`unexpected ${what}; ${supported}`);
  }

  #expect(kind: TokenKind): Token {
    const token = this.#take(kind);
    if (token === null) throw this.#unexpected();
    return token;
  }

  #end(): void {
    if (this.#token().kind !== "end") throw this.#unexpected();
  }

  /** Numbers joined by operators that bind at least so tightly; a series stands alone. */
  #binary(level: number): Expression {
    let left = this.#unary();
    for (;;) {
      const sign = this.#token();
      const operator = operators.get(sign.kind);
      if (operator === undefined || operator.level < level) return left;
      this.#at++;
      const right = this.#binary(operator.level + 1);
      if (left.kind !== "scalar" || right.kind !== "scalar")
        throw this.#fault(`arithmetic with series is not supported; ${supported}`, sign.at);
      left = { kind: "scalar", value: operator.of(left.value, right.value) };
    }
  }

  #deeper<T>(read: () => T): T {
    if (++this.#depth > maxDepth) throw this.#fault("nested too deeply");
    const result = read();
    this.#depth--;
    return result;
  }

  #unary(): Expression {
    const sign = this.#take("-") ?? this.#take("+");
    if (sign === null) return this.#primary();
    const operand = this.#deeper(() => this.#unary());
    if (operand.kind !== "scalar")
      throw this.#fault(`arithmetic with series is not supported; ${supported}`, sign.at);
    return { kind: "scalar", value: sign.kind === "-" ? -operand.value : operand.value };
  }

  #primary(): Expression {
    const { kind, text } = this.#token();
    if (this.#take("(") !== null) {
      const inner = this.#deeper(() => this.#binary(1));
      this.#expect(")");
      return inner;
    }
    if (this.#take("number") !== null) return { kind: "scalar", value: Number(text) };
    if (kind === "{") return this.#series();
    if (kind !== "name") throw this.#unexpected();
    if (this.#tokens[this.#at + 1]?.kind === "(") return this.#call();
    const named = namedNumbers.get(text.toLowerCase());
    if (named === undefined) return this.#series();
    this.#at++;
    return { kind: "scalar", value: named };
  }

  #series(): SeriesExpression {
    const matchers = this.#selector();
    if (this.#token().kind === "[")
      throw this.#fault(`a range is supported only inside of a function; ${supported}`);
    return { kind: "series", matchers, window: null };
  }

  #call(): SeriesExpression {
    const { text, at } = this.#expect("name");
    const overTime = functions.get(text);
    if (overTime === undefined)
      throw this.#fault(`function ${JSON.stringify(text)} is not supported; ${supported}`, at);
    this.#expect("(");
    const matchers = this.#selector();
    const rangeMs = this.#range();
    this.#expect(")");
    return { kind: "series", matchers, window: { overTime, rangeMs } };
  }

  #range(): number {
    if (this.#take("[") === null)
      throw this.#fault("expected a range such as [5m] behind the selector");
    const { kind, text, at } = this.#token();
    const ms =
      kind === "duration"
        ? parsePromDurationMs(text)
        : kind === "number"
          ? parseSecondsMs(text)
          : null;
    if (ms === null) throw this.#fault('expected a duration such as "5m" or "1h30m"');
    if (ms <= 0) throw this.#fault("duration must be greater than 0");
    if (ms > maxRangeMs) throw this.#fault("duration must be at most 366d", at);
    this.#at++;
    this.#expect("]");
    return ms;
  }

  #selector(): readonly Matcher[] {
    const start = this.#token();
    const name = this.#take("name");
    const matchers: Matcher[] =
      name === null ? [] : [createMatcher("__name__", "=", name.text, this.#budget)];
    if (name === null && start.kind !== "{") throw this.#unexpected();
    if (this.#take("{") !== null) this.#matchers(matchers);
    if (matchers.every(({ fits }) => fits("")))
      throw this.#fault("vector selector must contain at least one non-empty matcher", start.at);
    return matchers;
  }

  /** What is between braces; a comma may be last. */
  #matchers(matchers: Matcher[]): void {
    const named = matchers.length > 0;
    while (this.#take("}") === null) {
      const at = this.#token().at;
      const matcher = this.#matcher();
      if (named && matcher.label === "__name__")
        throw this.#fault("metric name must not be set twice", at);
      matchers.push(matcher);
      if (this.#take(",") === null && this.#token().kind !== "}") throw this.#unexpected();
    }
  }

  #matcher(): Matcher {
    const label = this.#expect("name");
    if (!labelName.test(label.text)) throw this.#fault("not a label name", label.at);
    const sign = this.#token();
    const operator = matchOperators.find((operator) => operator === sign.kind);
    if (operator === undefined) throw this.#fault("expected one of = != =~ !~");
    this.#at++;
    const value = this.#expect("string");
    try {
      return createMatcher(label.text, operator, value.text, this.#budget);
    } catch (cause) {
      if (!(cause instanceof AgentError && cause.code === "INPUT_INVALID")) throw cause;
      throw this.#fault(cause.message, value.at);
    }
  }
}

/** Reads a query. Throws INPUT_INVALID with line and column of what is wrong and what is supported. */
export function parseQuery(query: string): Expression {
  return new QueryParser(query, createRegexBudget()).whole();
}

/** Reads some selectors, of which at least one has to fit; their regular expressions share one budget. */
export function parseSelectors(texts: readonly string[]): readonly (readonly Matcher[])[] {
  const budget = createRegexBudget();
  return texts.map((text) => new QueryParser(text, budget).onlySelector());
}
