/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
  return value;
}

/** The place of a node in its fleet, in [0, 1): always the same one, and all of them evenly spread. */
export function placeInFleet(node: string): number {
  // A last mix of the bits: names that differ in a digit at their end would else lie side by side.
  const mixed = Math.imul(hash(node) ^ (hash(node) >>> 15), 0x2c1b3c6d) >>> 0;
  return mixed / 2 ** 32;
}

/** Writes of a fleet are spread over half an interval, and over no more than this. */
const widestMs = 5_000;

/** How long after its samples a node writes them, so that thousands do not write at the millisecond of a slot. */
export function writeDelayMs(node: string, intervalMs: number): number {
  return Math.floor(placeInFleet(node) * Math.min(intervalMs / 2, widestMs));
}
