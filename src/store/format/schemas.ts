import { AgentError, errorText, type Fault } from "../../core/errors.ts";
import type { SeriesKey } from "../../core/series.ts";
import type { BlockSchema, SchemaColumn } from "../contract.ts";

/** Schemas of a node and day are numbered 1–255: the number is one byte of a block. */
export const maxSchemas = 255;

/** Columns of a schema: several times the 200 series a node may have, for those that come and go in a day. */
export const maxColumns = 1_000;

/** Steps from one second to five minutes are allowed by the configuration. */
const stepRangeMs = { min: 1_000, max: 300_000 };

/** More decimals than a double has digits mean nothing. */
const maxDecimals = 15;

/** `{"step_ms":10000,"series":[["cpu",1,"%"]]}`: how a schema is kept. */
export function formatSchema({ stepMs, columns }: BlockSchema): string {
  return JSON.stringify({ step_ms: stepMs, series: columns });
}

function isColumn(input: unknown): input is SchemaColumn {
  if (!Array.isArray(input) || input.length !== 3) return false;
  const decimals: unknown = input[1];
  return (
    typeof input[0] === "string" &&
    input[0] !== "" &&
    typeof input[2] === "string" &&
    typeof decimals === "number" &&
    Number.isInteger(decimals) &&
    decimals >= 0 &&
    decimals <= maxDecimals
  );
}

function isStep(input: unknown): input is number {
  return (
    typeof input === "number" &&
    Number.isInteger(input) &&
    input >= stepRangeMs.min &&
    input <= stepRangeMs.max
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AgentError("BLOCK_INVALID", `schema is no JSON: ${errorText(cause)}`, { cause });
  }
}

function parseColumns(input: unknown): {
  readonly columns: readonly SchemaColumn[];
  readonly faults: readonly Fault[];
} {
  if (!Array.isArray(input) || input.length > maxColumns) {
    const message = `expected a list of at most ${maxColumns}`;
    return { columns: [], faults: [{ path: "series", message }] };
  }
  const list: readonly unknown[] = input;
  const columns = list.filter(isColumn);
  const faults = list.flatMap((column, index) =>
    isColumn(column)
      ? []
      : [{ path: `series[${index}]`, message: "expected [key, decimals, unit]" }],
  );
  if (new Set(columns.map(([key]) => key)).size !== columns.length)
    faults.push({ path: "series", message: "a series is listed twice" });
  return { columns, faults };
}

/** Reads a stored schema. Throws BLOCK_INVALID with every fault. */
export function parseSchema(text: string): BlockSchema {
  const input = parseJson(text);
  if (typeof input !== "object" || input === null)
    throw new AgentError("BLOCK_INVALID", "schema is no object");
  const stepMs = "step_ms" in input ? input.step_ms : undefined;
  const { columns, faults } = parseColumns("series" in input ? input.series : undefined);
  if (isStep(stepMs) && faults.length === 0) return { stepMs, columns };
  const message = `expected whole milliseconds, ${stepRangeMs.min} to ${stepRangeMs.max}`;
  throw new AgentError("BLOCK_INVALID", "schema cannot be read", {
    faults: isStep(stepMs) ? faults : [{ path: "step_ms", message }, ...faults],
  });
}

function sameColumn(a: SchemaColumn, b: SchemaColumn): boolean {
  return a[0] === b[0] && a[1] === b[1] && a[2] === b[2];
}

/** A stored schema with its number. */
export interface NumberedSchema {
  readonly number: number;
  readonly schema: BlockSchema;
}

/** The schema to write a block with: one the day already has, or a new one under a number that is free. */
export type SchemaChoice =
  | ({ readonly kind: "known" } & NumberedSchema)
  | ({ readonly kind: "new" } & NumberedSchema)
  /** All numbers are taken: the nearest one that is there, which lacks some of the series; null: none has this step. */
  | { readonly kind: "full"; readonly nearest: NumberedSchema | null };

function covered(schema: BlockSchema, columns: readonly SchemaColumn[]): number {
  const byKey = new Map<SeriesKey, SchemaColumn>(
    schema.columns.map((column) => [column[0], column]),
  );
  return columns.filter((column) => {
    const known = byKey.get(column[0]);
    return known !== undefined && sameColumn(known, column);
  }).length;
}

/** The columns of the day so far with new ones at the end, so that series may come and go without a new schema each. */
function grown(
  base: BlockSchema | undefined,
  columns: readonly SchemaColumn[],
): readonly SchemaColumn[] {
  const own = new Map(columns.map((column) => [column[0], column]));
  const kept = (base?.columns ?? []).filter((column) => {
    const mine = own.get(column[0]);
    return mine === undefined || sameColumn(mine, column);
  });
  const keys = new Set(kept.map(([key]) => key));
  const all = [...kept, ...columns.filter(([key]) => !keys.has(key))];
  return all.length <= maxColumns ? all : columns;
}

/**
 * Chooses the schema for a block of this step and these columns, at most 1,000. `taken` also holds numbers whose
 * schema cannot be read.
 */
export function chooseSchema(
  known: ReadonlyMap<number, BlockSchema>,
  taken: ReadonlySet<number>,
  { stepMs, columns }: BlockSchema,
): SchemaChoice {
  const fitting = [...known]
    .filter(([, schema]) => schema.stepMs === stepMs)
    .map(([number, schema]) => ({ number, schema, covers: covered(schema, columns) }));
  const whole = fitting
    .filter(({ covers }) => covers === columns.length)
    .sort((a, b) => a.schema.columns.length - b.schema.columns.length || a.number - b.number)[0];
  if (whole !== undefined) return { kind: "known", number: whole.number, schema: whole.schema };
  const nearest = fitting.sort((a, b) => b.covers - a.covers || b.number - a.number)[0];
  let number = 1;
  while (taken.has(number)) number++;
  if (number > maxSchemas)
    return {
      kind: "full",
      nearest: nearest === undefined ? null : { number: nearest.number, schema: nearest.schema },
    };
  return { kind: "new", number, schema: { stepMs, columns: grown(nearest?.schema, columns) } };
}
