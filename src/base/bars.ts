/** Lowest and highest value of a drawing. */
export interface Scale {
  readonly low: number;
  readonly high: number;
}

const blocks = "▁▂▃▄▅▆▇█";
const missing = "·";

/** From the least to the greatest of the known values; null when none is known. */
export function scaleOf(values: readonly (number | null)[]): Scale | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : { low: Math.min(...known), high: Math.max(...known) };
}

/** Percent are drawn from 0 to 100, so that drawings compare; others by what there is. */
export function scaleFor(unit: string, values: readonly (number | null)[]): Scale | null {
  const scale = scaleOf(values);
  return scale !== null && unit === "%" ? { low: 0, high: 100 } : scale;
}

/** How high a value lies on a scale, 0 to 1; `flat` when the scale has no room for a difference. */
export function shareOf(value: number, { low, high }: Scale, flat: number): number {
  const range = high - low;
  if (range === 0 || !Number.isFinite(range)) return flat;
  return Math.min(1, Math.max(0, (value - low) / range));
}

/** Values as a line of blocks, one character each; `·` where one is missing. */
export function bars(values: readonly (number | null)[], scale: Scale | null): string {
  return values
    .map((value) => {
      if (value === null || scale === null) return missing;
      return blocks[Math.round(shareOf(value, scale, 0) * (blocks.length - 1))] ?? missing;
    })
    .join("");
}
