import { createHash } from "node:crypto";
import { stripVTControlCharacters } from "node:util";

/** Cuts a text to a number of UTF-8 bytes without splitting a character; `…` marks a cut. */
export function truncateBytes(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  const ellipsis = "…";
  let room = maxBytes - Buffer.byteLength(ellipsis);
  let kept = "";
  for (const char of text) {
    room -= Buffer.byteLength(char);
    if (room < 0) break;
    kept += char;
  }
  return kept + ellipsis;
}

/** What marks a text that goes no further. */
export const cutMark = "…";

/** Cuts a text to a number of characters; a mark at the end says so. */
export function cutText(text: string, maxCharacters: number): string {
  return text.length <= maxCharacters
    ? text
    : text.slice(0, maxCharacters).toWellFormed() + cutMark;
}

/** A short name of one version of a text: the beginning of its hash. */
export function revisionOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 12);
}

/** Edits between two words; two letters swapped count as one. */
function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, i) => i)];
  const cell = (i: number, j: number): number => rows[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= b.length; j++) {
      const replaced = cell(i - 1, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const swapped =
        a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
          ? cell(i - 2, j - 2) + 1
          : Number.POSITIVE_INFINITY;
      row.push(Math.min(replaced, swapped, cell(i - 1, j) + 1, cell(i, j - 1) + 1));
    }
  }
  return cell(a.length, b.length);
}

/** The known name a misspelt one probably meant: at most a third of its letters apart; undefined when none is near. */
export function nearest(misspelt: string, known: readonly string[]): string | undefined {
  const plain = (name: string): string => name.toLowerCase().replaceAll(/[-_.]/g, "");
  let best: string | undefined;
  let bestDistance = Math.floor(misspelt.length / 3) + 1;
  for (const name of known) {
    const distance = editDistance(plain(misspelt), plain(name));
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** What to say about a key, or another thing, nobody knows: the nearest known one, or all of them. */
export function unknownKey(key: string, known: readonly string[], what = "key"): string {
  const meant = nearest(key, known);
  return meant === undefined
    ? `unknown ${what}; known here: ${known.join(", ")}`
    : `unknown ${what}; did you mean "${meant}"?`;
}

/** A text of somebody else as a terminal may get it: one line, without control characters. */
export function oneLine(text: string): string {
  return stripVTControlCharacters(text)
    .replaceAll(/[\p{Cc}\s]+/gu, " ")
    .trim();
}

/** Escapes a text for HTML, inside and outside of attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}
