import { AgentError } from "../../core/errors.ts";
import { type CharClass, type CharRange, complement, perlClass, posixClass } from "./char-class.ts";

/** A place in a text that is demanded without taking a character. */
export type Assertion = "text-start" | "text-end" | "line-start" | "line-end" | "word" | "no-word";

/** A regular expression as a tree. */
export type RegexNode =
  | { readonly kind: "class"; readonly chars: CharClass }
  | { readonly kind: "assert"; readonly what: Assertion }
  | { readonly kind: "sequence"; readonly parts: readonly RegexNode[] }
  | { readonly kind: "choice"; readonly options: readonly RegexNode[] }
  | {
      readonly kind: "repeat";
      readonly part: RegexNode;
      readonly least: number;
      /** Infinity for no bound. */
      readonly most: number;
    };

/** `i` case-insensitive, `s` a dot takes line breaks too, `m` `^` and `$` at lines; `U` changes no whole match. */
type Flags = Readonly<Record<"i" | "s" | "m" | "U", boolean>>;

/** Repetitions a pattern may count, RE2's own bound. */
const maxRepeat = 1_000;
/** Groups inside groups; RE2 allows 1,000, nobody writes ten. */
const maxDepth = 100;

const controls = new Map([
  ["a", 0x07],
  ["f", 0x0c],
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["v", 0x0b],
]);
const assertions = new Map<string, Assertion>([
  ["A", "text-start"],
  ["z", "text-end"],
  ["b", "word"],
  ["B", "no-word"],
]);

interface Bounds {
  readonly least: number;
  readonly most: number;
}
const unbounded = Number.POSITIVE_INFINITY;
const signs = new Map<string, Bounds>([
  ["*", { least: 0, most: unbounded }],
  ["+", { least: 1, most: unbounded }],
  ["?", { least: 0, most: 1 }],
]);

class RegexParser {
  readonly #pattern: string;
  #at = 0;
  #depth = 0;
  #flags: Flags = { i: false, s: true, m: false, U: false };

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  whole(): RegexNode {
    const node = this.#choice();
    if (this.#at < this.#pattern.length) throw this.#fault("unexpected )");
    return node;
  }

  #fault(message: string): AgentError {
    return new AgentError(
      "INPUT_INVALID",
      `invalid regular expression: ${message} at character ${this.#at + 1}`,
    );
  }

  #peek(): string {
    const code = this.#pattern.codePointAt(this.#at);
    return code === undefined ? "" : String.fromCodePoint(code);
  }

  #next(): string {
    const char = this.#peek();
    this.#at += char.length;
    return char;
  }

  /** What a sticky pattern matches here, which is then behind us; null when it does not match. */
  #take(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#pattern);
    this.#at += found?.[0].length ?? 0;
    return found;
  }

  #choice(): RegexNode {
    const options = [this.#sequence()];
    while (this.#take(/\|/y) !== null) options.push(this.#sequence());
    const [only] = options;
    return options.length === 1 && only !== undefined ? only : { kind: "choice", options };
  }

  #sequence(): RegexNode {
    const parts: RegexNode[] = [];
    while (!["", "|", ")"].includes(this.#peek())) {
      const quoted = this.#take(/\\Q(.*?)(?:\\E|$)/sy);
      const some = quoted === null ? [this.#atom()] : this.#literals(quoted[1] ?? "");
      const last = some.pop();
      parts.push(...some.filter((part) => part !== null));
      if (last !== null && last !== undefined) parts.push(this.#repeated(last));
    }
    return { kind: "sequence", parts };
  }

  #literals(text: string): (RegexNode | null)[] {
    return Array.from(text, (char) => this.#literal(char));
  }

  /** A part with how often it is wanted. */
  #repeated(part: RegexNode): RegexNode {
    const bounds = this.#bounds();
    if (bounds === null) return part;
    this.#take(/\?/y);
    if (this.#bounds() !== null) throw this.#fault("invalid nested repetition operator");
    return { kind: "repeat", part, ...bounds };
  }

  #bounds(): Bounds | null {
    const sign = signs.get(this.#peek());
    if (sign !== undefined) {
      this.#next();
      return sign;
    }
    const counted = this.#take(/\{(\d{1,9})(?:(,)(\d{1,9})?)?\}/y);
    if (counted === null) return null;
    const [, first, comma, last] = counted;
    const least = Number(first);
    const most = last === undefined ? (comma === undefined ? least : unbounded) : Number(last);
    if (least > maxRepeat || least > most || (most > maxRepeat && most !== unbounded))
      throw this.#fault(`invalid repeat count, at most ${maxRepeat} in rising order`);
    return { least, most };
  }

  #class(ranges: readonly CharRange[], negated = false): RegexNode {
    return { kind: "class", chars: { ranges, negated, foldsCase: this.#flags.i } };
  }

  #literal(char: string): RegexNode {
    const code = char.codePointAt(0) ?? 0;
    return this.#class([[code, code]]);
  }

  #atom(): RegexNode | null {
    const char = this.#next();
    if (signs.has(char)) throw this.#fault("missing argument to repetition operator");
    if (char === "(") return this.#group();
    if (char === "[") return this.#set();
    if (char === "\\") return this.#escape();
    return this.#sign(char) ?? this.#literal(char);
  }

  /** What a character with a meaning stands for; null when it only means itself. */
  #sign(char: string): RegexNode | null {
    const { s, m } = this.#flags;
    if (char === ".") return this.#class(s ? [] : [[0x0a, 0x0a]], true);
    if (char === "^") return { kind: "assert", what: m ? "line-start" : "text-start" };
    if (char === "$") return { kind: "assert", what: m ? "line-end" : "text-end" };
    return null;
  }

  #group(): RegexNode | null {
    const outer = this.#flags;
    if (this.#take(/\?/y) !== null && this.#take(/P?<[A-Za-z_]\w*>/y) === null) {
      const flags = this.#take(/([imsU]*)(?:-([imsU]+))?([:)])/y);
      if (flags === null) throw this.#fault("invalid or unsupported Perl syntax");
      this.#setFlags(flags[1] ?? "", flags[2] ?? "");
      if (flags[3] === ")") return null;
    }
    if (++this.#depth > maxDepth) throw this.#fault("nested too deeply");
    const node = this.#choice();
    if (this.#take(/\)/y) === null) throw this.#fault("missing closing )");
    this.#depth--;
    this.#flags = outer;
    return node;
  }

  #setFlags(on: string, off: string): void {
    const changed = (flag: keyof Flags): boolean =>
      (this.#flags[flag] || on.includes(flag)) && !off.includes(flag);
    this.#flags = { i: changed("i"), s: changed("s"), m: changed("m"), U: changed("U") };
  }

  #escape(): RegexNode {
    const letter = this.#peek();
    const what = assertions.get(letter);
    const ranges = perlClass(letter);
    if (what === undefined && ranges === undefined) {
      const code = this.#escapedCode();
      return this.#class([[code, code]]);
    }
    this.#next();
    return what === undefined ? this.#class(ranges ?? []) : { kind: "assert", what };
  }

  /** The character an escape means; we stand behind the backslash. */
  #escapedCode(): number {
    const hex = this.#take(/x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})/y);
    if (hex !== null) return Number.parseInt(hex[1] ?? hex[2] ?? "", 16);
    const char = this.#next();
    const control = controls.get(char);
    if (control !== undefined) return control;
    if (char === "") throw this.#fault("trailing backslash");
    // What has a meaning of its own in RE2 and none here (classes of Unicode, octal numbers) must not become a letter.
    if (/[A-Za-z0-9]/.test(char)) throw this.#fault(`escape \\${char} is not supported`);
    return char.codePointAt(0) ?? 0;
  }

  #set(): RegexNode {
    const negated = this.#take(/\^/y) !== null;
    const ranges: CharRange[] = [];
    // A bracket that comes first is meant as a character.
    do {
      if (this.#peek() === "") throw this.#fault("missing closing ]");
      ranges.push(...this.#setItem());
    } while (this.#take(/\]/y) === null);
    return this.#class(ranges, negated);
  }

  #setItem(): readonly CharRange[] {
    const named = this.#take(/\[:(\^?\w+):\]/y);
    if (named !== null) {
      const ranges = posixClass(named[1] ?? "");
      if (ranges === undefined) throw this.#fault("invalid character class range");
      return ranges;
    }
    const perl = this.#take(/\\([dswDSW])/y);
    if (perl !== null) return perlClass(perl[1] ?? "") ?? complement([]);
    const first = this.#setChar();
    if (this.#take(/-(?!\])/y) === null) return [[first, first]];
    const last = this.#setChar();
    if (last < first) throw this.#fault("invalid character class range");
    return [[first, last]];
  }

  #setChar(): number {
    const char = this.#next();
    if (char === "") throw this.#fault("missing closing ]");
    return char === "\\" ? this.#escapedCode() : (char.codePointAt(0) ?? 0);
  }
}

/**
 * Reads a regular expression in RE2's syntax, in which a dot takes line breaks too, as in Prometheus. Throws
 * INPUT_INVALID with what is wrong and where; classes of Unicode (`\p{…}`) and octal escapes are refused as well.
 */
export function parseRegex(pattern: string): RegexNode {
  return new RegexParser(pattern).whole();
}
