import { AgentError } from "../../core/errors.ts";
import { readQuoted } from "./quoted.ts";

/** What a piece of a query is: punctuation is its own kind. */
export type TokenKind = "name" | "number" | "duration" | "string" | "end" | Punctuation;

/** Everything PromQL writes without letters; what this API does not know of it is refused with its own name. */
const punctuation = [
  "=~",
  "!~",
  "==",
  "!=",
  ">=",
  "<=",
  "(",
  ")",
  "{",
  "}",
  "[",
  "]",
  ",",
  "=",
  "+",
  "-",
  "*",
  "/",
  "%",
  "^",
  ">",
  "<",
  "@",
  ":",
] as const;
export type Punctuation = (typeof punctuation)[number];

/** A piece of a query. */
export interface Token {
  readonly kind: TokenKind;
  /** As it stands in the query; of a string, what it means. */
  readonly text: string;
  /** Where it begins. */
  readonly at: number;
}

const blank = /(?:[ \t\r\n]|#[^\n]*)*/y;
const duration = /(?:\d+(?:ms|[smhdwy]))+(?![a-zA-Z0-9_.])/y;
const number = /(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![a-zA-Z0-9_.])/y;
const name = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const words = [
  ["duration", duration],
  ["number", number],
  ["name", name],
] as const;

/** What can be asked for, for who asked for something else. */
export const supported =
  'supported are selectors such as targetvpc_index{index="cpu",node=~"web-.*"}, avg_over_time, max_over_time and' +
  " min_over_time of a selector with a range such as [5m], and + - * / of numbers";

/** The refusal of a query, with the line and the column of what is wrong, both counted from 1. */
export function parseFault(query: string, at: number, message: string): AgentError {
  const before = query.slice(0, at).split("\n");
  const column = (before.at(-1) ?? "").length + 1;
  return new AgentError("INPUT_INVALID", `${before.length}:${column}: parse error: ${message}`);
}

function take(pattern: RegExp, query: string, at: number): string {
  pattern.lastIndex = at;
  return pattern.exec(query)?.[0] ?? "";
}

interface Cut {
  readonly token: Token;
  /** Where the rest begins. */
  readonly end: number;
}

function quotedToken(query: string, at: number): Cut {
  const { value, end } = readQuoted(query, at);
  if (typeof value !== "string") throw parseFault(query, end, value.fault);
  return { token: { kind: "string", text: value, at }, end };
}

/** A word or a number; null when none begins here. */
function wordToken(query: string, at: number): Cut | null {
  for (const [kind, pattern] of words) {
    const text = take(pattern, query, at);
    // A colon may begin a name, but alone it is the one of a subquery.
    if (text !== "" && text !== ":") return { token: { kind, text, at }, end: at + text.length };
  }
  return null;
}

function nextToken(query: string, at: number): Cut {
  const first = query[at];
  if (first === undefined) return { token: { kind: "end", text: "", at }, end: at };
  if (['"', "'", "`"].includes(first)) return quotedToken(query, at);
  const word = wordToken(query, at);
  if (word !== null) return word;
  const sign = punctuation.find((sign) => query.startsWith(sign, at));
  if (sign !== undefined) return { token: { kind: sign, text: sign, at }, end: at + sign.length };
  const shown = JSON.stringify(String.fromCodePoint(query.codePointAt(at) ?? 0));
  throw parseFault(query, at, `unexpected ${shown}; ${supported}`);
}

/** Cuts a query into pieces; the last one is its end. Throws INPUT_INVALID with the position of what is none. */
export function tokensOf(query: string): readonly Token[] {
  const tokens: Token[] = [];
  let at = 0;
  for (;;) {
    at += take(blank, query, at).length;
    const { token, end } = nextToken(query, at);
    tokens.push(token);
    if (token.kind === "end") return tokens;
    at = end;
  }
}
