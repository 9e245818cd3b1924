import { bars, scaleFor } from "../base/bars.ts";
import { durationText } from "../base/duration.ts";
import { oneLine } from "../base/text.ts";
import { splitValue } from "../base/value.ts";
import type { Aggregate, SeriesKey } from "../core/series.ts";
import { stepFor, type StepLimits } from "./course.ts";
import type { Span } from "./question.ts";
import type { ChooseStep, Summary } from "./summary.ts";

/** How the course of each series is drawn. */
export interface Drawing {
  /** Characters in a line of the terminal. */
  readonly columns: number;
  readonly stepMs: number;
  readonly aggregate: Aggregate;
}

/** Fewer bars than these show nothing. */
const fewestBars = 8;
const gap = "  ";
const shown = ["last", "min", "avg", "max"] as const satisfies readonly Aggregate[];
const heads = ["NODE", "SERIES", ...shown.map((aggregate) => aggregate.toUpperCase()), "UNIT"];
/** Numbers stand below each other from their ends. */
const isNumber = (column: number): boolean => column >= 2 && column <= 5;
/** Few numbers are longer: `999.9M`. */
const usualNumber = "000.0M";

function widthOf(texts: readonly string[]): number {
  return texts.reduce((width, text) => Math.max(width, text.length), 0);
}

function barsRoom(columns: number, cells: readonly (readonly string[])[]): number {
  const widths = heads.map((_, column) => widthOf(cells.map((line) => line[column] ?? "")));
  return columns - widths.reduce((sum, width) => sum + width + gap.length, 0);
}

/** Chooses bars that fill the line of a terminal, by the first series that are read. */
export function createStepChooser(
  columns: number,
  labels: readonly string[],
  { span, ...limits }: Omit<StepLimits, "most"> & { readonly span: Span },
): ChooseStep {
  let chosen: number | null = null;
  const choose = (keys: readonly SeriesKey[]): number => {
    const numbers = shown.map(() => usualNumber);
    const widest = [" ".repeat(widthOf(labels)), " ".repeat(widthOf(keys)), ...numbers, ""];
    const most = Math.max(fewestBars, barsRoom(columns, [heads, widest]));
    return stepFor(span, { ...limits, most });
  };
  return (keys) => (chosen ??= choose(keys));
}

function valueText(value: number | null, unit: string): string {
  if (value === null) return "-";
  const { number, prefix } = splitValue(value, unit);
  return number + prefix;
}

function unitOf({ key }: Summary, units: ReadonlyMap<string, string>): string {
  return units.get(key.split("{")[0] ?? key) ?? "";
}

function cellsOf(summary: Summary, unit: string): readonly string[] {
  const numbers = shown.map((aggregate) => valueText(summary.values[aggregate], unit));
  return [oneLine(summary.node), oneLine(summary.key), ...numbers, unit];
}

function aligned(lines: readonly (readonly string[])[]): string[] {
  const widths = heads.map((_, column) => widthOf(lines.map((line) => line[column] ?? "")));
  const padded = (cell: string, column: number): string => {
    const width = widths[column] ?? 0;
    return isNumber(column) ? cell.padStart(width) : cell.padEnd(width);
  };
  return lines.map((line) => line.map(padded).join(gap));
}

/** A line a series; its course as bars where there is a terminal with room for it, else the newest part of it. */
export function printTable(
  summaries: readonly Summary[],
  units: ReadonlyMap<string, string>,
  drawing: Drawing | null,
): string {
  const cells = [heads, ...summaries.map((summary) => cellsOf(summary, unitOf(summary, units)))];
  const room = drawing === null ? 0 : barsRoom(drawing.columns, cells);
  const courses =
    drawing === null || room < fewestBars
      ? []
      : [
          `${drawing.aggregate} of ${durationText(drawing.stepMs)} each`.slice(0, room),
          ...summaries.map((summary) => {
            const unit = unitOf(summary, units);
            return bars(summary.course.slice(-room), scaleFor(unit, summary.course));
          }),
        ];
  return aligned(cells)
    .map((line, at) => `${[line, courses[at] ?? ""].join(gap).trimEnd()}\n`)
    .join("");
}
