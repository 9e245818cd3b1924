import { scaleOf, shareOf, type Scale } from "../../base/bars.ts";
import { createCanvas, type Canvas, type Point } from "./canvas.ts";
import { encodePng } from "./png.ts";

/** Size of the drawing in pixels. */
export const chartSize = { width: 600, height: 160 } as const;

/** What a chart shows. */
export interface Chart {
  /** Evenly spaced, oldest first; null where missing. */
  readonly values: readonly (number | null)[];
  /** Null: there is none. */
  readonly threshold: number | null;
  /** Of the threshold and of the last value, 0xRRGGBB. */
  readonly colour: number;
}

/** Room around the lines, so that none is cut off at the edge. */
const margin = { x: 8, y: 12 };
/** Fewer say nothing of a course. */
const leastKnown = 3;
const colours = { background: 0xffffff, area: 0xe8eef4, line: 0x37566f };
const widths = { line: 2, alone: 4, threshold: 2, last: 7 };

/** The values that can be drawn; what is not finite is missing. */
export function drawable(values: readonly (number | null)[]): readonly (number | null)[] {
  return values.map((value) => (value !== null && Number.isFinite(value) ? value : null));
}

function yOf(value: number, scale: Scale): number {
  return margin.y + (chartSize.height - 2 * margin.y) * (1 - shareOf(value, scale, 0.5));
}

/** Lines of values that follow each other without a gap. */
function linesOf(values: readonly (number | null)[], scale: Scale): readonly (readonly Point[])[] {
  const stepX = (chartSize.width - 2 * margin.x) / (values.length - 1);
  const lines: Point[][] = [];
  let line: Point[] | null = null;
  for (const [at, value] of values.entries()) {
    if (value === null) {
      line = null;
      continue;
    }
    if (line === null) lines.push((line = []));
    line.push({ x: margin.x + at * stepX, y: yOf(value, scale) });
  }
  return lines;
}

/** Fills what is below a line, column by column. */
function fillBelow(canvas: Canvas, points: readonly Point[]): void {
  for (const [at, end] of points.entries()) {
    const from = points[at - 1];
    if (from === undefined) continue;
    for (let x = Math.floor(from.x); x < Math.floor(end.x); x++) {
      const share = Math.min(1, Math.max(0, (x + 0.5 - from.x) / (end.x - from.x)));
      const y = Math.round(from.y + share * (end.y - from.y));
      canvas.rectangle({ x, y }, { x: x + 1, y: chartSize.height }, colours.area);
    }
  }
}

function drawThreshold(canvas: Canvas, y: number, colour: number): void {
  const top = Math.round(y - widths.threshold / 2);
  canvas.rectangle({ x: 0, y: top }, { x: chartSize.width, y: top + widths.threshold }, colour);
}

/**
 * Draws how values went as a PNG file: a line, broken where values are missing, with the threshold across. From the
 * least to the greatest of the values and the threshold. Null when fewer than three values are known.
 */
export function drawChart({ values: given, threshold, colour }: Chart): Buffer | null {
  const values = drawable(given);
  const known = values.filter((value) => value !== null);
  const scale = scaleOf([...known, ...drawable([threshold])]);
  if (known.length < leastKnown || scale === null) return null;
  const canvas = createCanvas(chartSize.width, chartSize.height, colours.background);
  const lines = linesOf(values, scale);
  for (const line of lines) fillBelow(canvas, line);
  if (threshold !== null && Number.isFinite(threshold))
    drawThreshold(canvas, yOf(threshold, scale), colour);
  canvas.stroke(lines, widths.line, colours.line);
  const alone = lines.filter(({ length }) => length === 1);
  canvas.stroke(alone, widths.alone, colours.line);
  const last = lines.at(-1)?.at(-1);
  if (last !== undefined) canvas.stroke([[last]], widths.last, colour);
  return encodePng(canvas.picture());
}
