import { scaleFor, shareOf } from "../base/bars.ts";
import { Html, markup } from "./html.ts";

/** Size of the drawing in its own units; the page scales it. */
const width = 120;
const height = 24;

/** Values by time, evenly spaced, oldest first; null where there is none. */
export type Spark = readonly (number | null)[];

/** The average of what fell into each of `count` equal parts of a span; null for the parts that got nothing. */
export function resample(
  samples: { readonly timesMs: Float64Array; readonly values: readonly (number | null)[] },
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

/** A line of the values as inline SVG, broken where values are missing; nothing when there are none. */
export function sparkline(spark: Spark, unit: string, label: string): Html {
  const scale = scaleFor(unit, spark);
  if (scale === null) return new Html("");
  const stepX = width / Math.max(1, spark.length - 1);
  let path = "";
  let pen = "M";
  for (const [at, value] of spark.entries()) {
    if (value === null) {
      pen = "M";
      continue;
    }
    const share = shareOf(value, scale, 0.5);
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
