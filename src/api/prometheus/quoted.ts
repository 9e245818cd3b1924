/** What a quoted text means, or what is wrong with it; `end` is behind it, or at the fault. */
export interface Quoted {
  readonly value: string | { readonly fault: string };
  readonly end: number;
}

/** Escapes of one letter, as in Go, whose rules PromQL has for its texts. */
const letters = new Map([
  ["a", "\u0007"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
  ["v", "\v"],
  ["\\", "\\"],
]);
const hex = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/y;
const octal = /\\([0-3][0-7]{2})/y;

/** A character by its number in an escape; null when the escape is none, or its number no character. */
function numbered(
  text: string,
  at: number,
): { readonly char: string; readonly end: number } | null {
  hex.lastIndex = octal.lastIndex = at;
  const hexed = hex.exec(text);
  const found = hexed ?? octal.exec(text);
  if (found === null) return null;
  const digits = found[1] ?? found[2] ?? found[3] ?? "";
  const code = Number.parseInt(digits, hexed === null ? 8 : 16);
  // Halves of UTF-16 pairs are no characters.
  if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return null;
  return { char: String.fromCodePoint(code), end: at + found[0].length };
}

function escaped(
  text: string,
  at: number,
  quote: string,
): { readonly char: string; readonly end: number } | null {
  const letter = text[at + 1] ?? "";
  const plain = letter === quote ? quote : letters.get(letter);
  return plain === undefined ? numbered(text, at) : { char: plain, end: at + 2 };
}

/** Reads the text in quotes that begins at a position: `"…"` and `'…'` with Go's escapes, or `` `…` `` without any. */
export function readQuoted(text: string, start: number): Quoted {
  const quote = text[start] ?? "";
  if (quote === "`") {
    const end = text.indexOf("`", start + 1);
    if (end < 0) return { value: { fault: "unterminated raw string" }, end: start };
    return { value: text.slice(start + 1, end), end: end + 1 };
  }
  let value = "";
  let at = start + 1;
  for (;;) {
    const char = text[at];
    if (char === undefined || char === "\n")
      return { value: { fault: "unterminated quoted string" }, end: start };
    if (char === quote) return { value, end: at + 1 };
    if (char === "\\") {
      const read = escaped(text, at, quote);
      if (read === null) return { value: { fault: "unknown escape sequence" }, end: at };
      value += read.char;
      at = read.end;
    } else {
      value += char;
      at++;
    }
  }
}
