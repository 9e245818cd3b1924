/** Code points from the first to the last, both inclusive. */
export type CharRange = readonly [first: number, last: number];

/** A set of characters. */
export interface CharClass {
  readonly ranges: readonly CharRange[];
  /** All others are meant. */
  readonly negated: boolean;
  /** A character counts as its other case too. */
  readonly foldsCase: boolean;
}

const lastCodePoint = 0x10ffff;
const code = (char: string): number => char.codePointAt(0) ?? 0;
const span = (from: string, to = from): CharRange => [code(from), code(to)];

const digit = [span("0", "9")];
const word = [span("0", "9"), span("A", "Z"), span("_"), span("a", "z")];
const space = [span("\t", "\n"), span("\f", "\r"), span(" ")];

/** `\d` and its like; ASCII only, as in RE2. */
const perl: ReadonlyMap<string, readonly CharRange[]> = new Map([
  ["d", digit],
  ["s", space],
  ["w", word],
]);

/** `[:alpha:]` and its like. */
const posix: ReadonlyMap<string, readonly CharRange[]> = new Map([
  ["alnum", [span("0", "9"), span("A", "Z"), span("a", "z")]],
  ["alpha", [span("A", "Z"), span("a", "z")]],
  ["ascii", [[0, 0x7f]]],
  ["blank", [span("\t"), span(" ")]],
  [
    "cntrl",
    [
      [0, 0x1f],
      [0x7f, 0x7f],
    ],
  ],
  ["digit", digit],
  ["graph", [span("!", "~")]],
  ["lower", [span("a", "z")]],
  ["print", [span(" ", "~")]],
  ["punct", [span("!", "/"), span(":", "@"), span("[", "`"), span("{", "~")]],
  ["space", [span("\t", "\r"), span(" ")]],
  ["upper", [span("A", "Z")]],
  ["word", word],
  ["xdigit", [span("0", "9"), span("A", "F"), span("a", "f")]],
]);

/** Every character that is not in any of the ranges. */
export function complement(ranges: readonly CharRange[]): readonly CharRange[] {
  const others: CharRange[] = [];
  let next = 0;
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    if (first > next) others.push([next, first - 1]);
    next = Math.max(next, last + 1);
  }
  if (next <= lastCodePoint) others.push([next, lastCodePoint]);
  return others;
}

/** What `\d` `\s` `\w`, or in capitals their opposites, stand for; undefined for any other letter. */
export function perlClass(letter: string): readonly CharRange[] | undefined {
  const ranges = perl.get(letter.toLowerCase());
  return ranges === undefined || perl.has(letter) ? ranges : complement(ranges);
}

/** What the name inside `[:alpha:]`, or `[:^alpha:]` for its opposite, stands for; undefined for an unknown one. */
export function posixClass(name: string): readonly CharRange[] | undefined {
  const ranges = posix.get(name.replace(/^\^/, ""));
  return ranges === undefined || !name.startsWith("^") ? ranges : complement(ranges);
}

const isIn = (ranges: readonly CharRange[], char: number): boolean =>
  ranges.some(([first, last]) => char >= first && char <= last);

/** The other case of a character, itself when it has none of one character. */
function otherCases(char: number): readonly number[] {
  const text = String.fromCodePoint(char);
  return [text.toLowerCase(), text.toUpperCase()]
    .filter((other) => Array.from(other).length === 1)
    .map(code);
}

/** Whether a character is in a set. */
export function isInClass({ ranges, negated, foldsCase }: CharClass, char: number): boolean {
  const found =
    isIn(ranges, char) || (foldsCase && otherCases(char).some((other) => isIn(ranges, other)));
  return found !== negated;
}

/** Whether a character is one of `\w`. */
export function isWordChar(char: number | undefined): boolean {
  return char !== undefined && isIn(word, char);
}
