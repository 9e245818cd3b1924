import { Html, markup } from "./html.ts";

/** Size of the drawing in its own units; the page scales it. */
const width = 120;
const height = 24;

/** Values by time, evenly spaced, oldest first; null where there is none. */
export type Spark = readonly (number | null)[];

/** The average of what fell into each of `count` equal parts of a span; null for the parts that got nothing. */
export function resample(
  samples: { readonly timesMs: readonly number[]; readonly values: readonly (number | null)[] },
  span: { readonly fromMs: number; readonly toMs: number },
  count: number,
): Spark {
  const sums = Array.from({ length: count }, () => ({ sum: 0, count: 0 }));
  const partMs = (span.toMs - span.fromMs) / count;
  for (const [row, timeMs] of samples.timesMs.entries()) {
    const value = samples.values[row] ?? null;
    const part = sums[Math.min(count - 1, Math.floor((timeMs - span.fromMs) / partMs))];
    if (value === null || part === undefined) continue;
    part.sum += value;
    part.count++;
  }
  return sums.map((part) => (part.count === 0 ? null : part.sum / part.count));
}

/** Lowest and highest value of the drawing: percent from 0 to 100, so that rows compare; others by what there is. */
function bounds(values: readonly number[], unit: string): readonly [low: number, high: number] {
  if (unit === "%") return [0, 100];
  return [Math.min(...values), Math.max(...values)];
}

/** How high a value lies between two bounds, 0 to 1; in the middle when they leave no room for a difference. */
function shareOf(value: number, low: number, high: number): number {
  const range = high - low;
  if (range === 0 || !Number.isFinite(range)) return 0.5;
  return Math.min(1, Math.max(0, (value - low) / range));
}

/** A line of the values as inline SVG, broken where values are missing; nothing when there are none. */
export function sparkline(spark: Spark, unit: string, label: string): Html {
  const known = spark.filter((value) => value !== null);
  if (known.length === 0) return new Html("");
  const [low, high] = bounds(known, unit);
  const stepX = width / Math.max(1, spark.length - 1);
  let path = "";
  let pen = "M";
  for (const [at, value] of spark.entries()) {
    if (value === null) {
      pen = "M";
      continue;
    }
    const share = shareOf(value, low, high);
    const y = (1 + (height - 2) * (1 - share)).toFixed(1);
    const x = (at * stepX).toFixed(1);
    // A lone point gets a short line, or it would not be seen.
    path += pen === "M" ? `M${x} ${y}h.5` : `L${x} ${y}`;
    pen = "L";
  }
  return markup`<svg
    viewBox="0 0 ${width} ${height}"
    preserveAspectRatio="none"
    role="img"
    aria-label="${label}"
  >
    <path d="${path}" />
  </svg>`;
}
