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

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
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

/** What to say about a key nobody knows: the nearest known one, or all of them. */
export function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearest(key, known);
  return meant === undefined
    ? `unknown key; known here: ${known.join(", ")}`
    : `unknown key; did you mean "${meant}"?`;
}
