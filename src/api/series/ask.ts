import * as v from "valibot";
import { durationMs, list, oneOf, strictObject, text } from "../../base/parse.ts";
import { parseTimeMs } from "../../base/duration.ts";
import { nearest, truncateBytes } from "../../base/text.ts";
import { errorText, type Fault } from "../../core/errors.ts";
import {
  aggregates,
  parseSelector,
  type Aggregate,
  type IndexDefinition,
  type SeriesSelector,
} from "../../core/series.ts";
import { invalid } from "../problem.ts";
import { readQuery } from "../query.ts";
import { checked, shortText } from "../route.ts";

/** A checked question for series. */
export interface SeriesAsk {
  readonly startMs: number;
  readonly endMs: number;
  readonly selectors: readonly SeriesSelector[];
  /** As given: a name or `cluster/name`; null: this node. */
  readonly node: string | null;
  /** Null: raw samples. */
  readonly stepMs: number | null;
  /** What a bucket of several samples becomes. */
  readonly aggregate: Aggregate;
}

/** What the words of a question are checked against. */
export interface AskContext {
  readonly nowMs: number;
  readonly indexes: readonly IndexDefinition[];
}

/** The three indexes the first version of this API knew, and the span a dashboard opens with. */
const defaultIndexes = ["cpu", "memory", "disk"];
const defaultSpanMs = 3_600_000;
/** As many series as a node may store. */
const maxSelectors = 200;
/** The year 5138; Unix milliseconds given as seconds lie beyond it. */
const latestMs = 1e14;
/** A year: longer than anything is kept. */
const maxStepMs = 366 * 86_400_000;

/** A point in time: Unix seconds, RFC 3339 or relative to now; Unix milliseconds out. */
export function timeSchema(nowMs: number): v.GenericSchema<unknown, number> {
  return v.pipe(
    v.unknown(),
    v.rawTransform<unknown, number>(({ dataset, addIssue, NEVER }) => {
      const ms = parseTimeMs(dataset.value, nowMs);
      if (ms !== null && Math.abs(ms) <= latestMs) return ms;
      const hint = ms === null || ms < 0 ? "" : "; this looks like milliseconds";
      addIssue({
        message: `expected Unix seconds, an RFC 3339 time, "now" or a relative time such as "-1h"${hint}`,
      });
      return NEVER;
    }),
  );
}

/** A query string turns the `+` of a zone into a space; a space after the minutes can be nothing else. */
function queryTimeSchema(nowMs: number): v.GenericSchema<unknown, number> {
  const mended = (given: unknown): unknown =>
    typeof given === "string" ? given.replace(/(:\d\d(?:\.\d+)?) (\d\d:?\d\d)$/, "$1+$2") : given;
  return v.pipe(v.unknown(), v.transform(mended), timeSchema(nowMs));
}

function selectorFault(selector: SeriesSelector, indexes: readonly IndexDefinition[]): string {
  const known = indexes.find(({ name }) => name === selector.index);
  if (known === undefined) {
    const names = indexes.map(({ name }) => name);
    const meant = nearest(selector.index.slice(0, 50), names);
    const hint = meant === undefined ? "" : `did you mean "${meant}"? `;
    const shown = truncateBytes(selector.index, 100);
    return `unknown index "${shown}"; ${hint}known indexes: ${names.join(", ")}`;
  }
  const labels = selector.labels === "*" ? [] : Object.keys(selector.labels);
  const wrong = labels.find((label) => !known.labels.includes(label));
  if (wrong === undefined) return "";
  const has = known.labels.length === 0 ? "none" : known.labels.join(", ");
  return `${known.name} has no label "${truncateBytes(wrong, 100)}"; its labels: ${has}`;
}

function selectorSchema(
  indexes: readonly IndexDefinition[],
): v.GenericSchema<unknown, SeriesSelector> {
  return v.pipe(
    text,
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      try {
        const selector = parseSelector(dataset.value);
        const message = selectorFault(selector, indexes);
        if (message === "") return selector;
        addIssue({ message });
      } catch (cause) {
        addIssue({ message: truncateBytes(errorText(cause), 300) });
      }
      return NEVER;
    }),
  );
}

const stepSchema = v.pipe(
  durationMs,
  v.minValue(1_000, "must be at least one second"),
  v.maxValue(maxStepMs, "must be at most 366 days"),
  v.multipleOf(1_000, "must be whole seconds"),
);

function selectorsSchema(
  indexes: readonly IndexDefinition[],
): v.GenericSchema<unknown, SeriesSelector[]> {
  return v.pipe(
    list(selectorSchema(indexes)),
    v.minLength(1, "must name at least one index"),
    v.maxLength(maxSelectors, `must name at most ${maxSelectors} series`),
  );
}

interface Fields {
  readonly start_time?: number | null | undefined;
  readonly end_time?: number | null | undefined;
  readonly indexes?: readonly SeriesSelector[] | null | undefined;
  readonly node?: string | null | undefined;
  readonly step?: number | null | undefined;
  readonly aggregate?: Aggregate | null | undefined;
}

function toAsk(fields: Fields, nowMs: number): SeriesAsk {
  const endMs = fields.end_time ?? nowMs;
  const startMs = fields.start_time ?? endMs - defaultSpanMs;
  if (startMs >= endMs)
    throw invalid([
      {
        path: "start_time",
        message: "must be before end_time (which is now when it is not given)",
      },
    ]);
  return {
    startMs,
    endMs,
    selectors: fields.indexes ?? defaultIndexes.map(parseSelector),
    node: fields.node ?? null,
    stepMs: fields.step ?? null,
    aggregate: fields.aggregate ?? "avg",
  };
}

/** Reads the body of POST /api/metrics. Throws INPUT_INVALID with every fault. */
export function askOfBody(body: unknown, { nowMs, indexes }: AskContext): SeriesAsk {
  const time = v.nullish(timeSchema(nowMs));
  const schema = strictObject({
    start_time: time,
    end_time: time,
    indexes: v.nullish(selectorsSchema(indexes)),
    node: v.nullish(shortText(600)),
    step: v.nullish(stepSchema),
    aggregate: v.nullish(oneOf(aggregates)),
  });
  return toAsk(checked(schema, body), nowMs);
}

/** Reads the query string of GET /api/metrics, which has short names too. Throws INPUT_INVALID with every fault. */
export function askOfQuery(query: URLSearchParams, { nowMs, indexes }: AskContext): SeriesAsk {
  const time = v.optional(queryTimeSchema(nowMs));
  const selectors = v.optional(selectorsSchema(indexes));
  const given = readQuery(
    {
      start_time: time,
      end_time: time,
      indexes: selectors,
      node: v.optional(shortText(600)),
      step: v.optional(stepSchema),
      aggregate: v.optional(oneOf(aggregates)),
      start: time,
      end: time,
      index: selectors,
    },
    query,
    ["indexes", "index"],
  );
  const faults: Fault[] = [
    ["start", "start_time"],
    ["end", "end_time"],
    ["index", "indexes"],
  ].flatMap(([short = "", long = ""]) =>
    query.has(short) && query.has(long)
      ? [{ path: short, message: `given beside ${long}, which means the same` }]
      : [],
  );
  if (faults.length > 0) throw invalid(faults);
  const { start, end, index, ...rest } = given;
  return toAsk(
    {
      ...rest,
      start_time: rest.start_time ?? start,
      end_time: rest.end_time ?? end,
      indexes: rest.indexes ?? index,
    },
    nowMs,
  );
}
