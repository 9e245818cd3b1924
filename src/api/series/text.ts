import { csvCell } from "../../base/csv.ts";
import type { SeriesKey } from "../../core/series.ts";
import type { SeriesResult } from "../ports.ts";

/** Rows written in one go: some 100 KB, about a millisecond during which nothing else runs. */
const rowsPerPart = 2_048;
/** Distinct values whose text is remembered; percentages with one decimal have 1,001. */
const maxRemembered = 4_096;

type WriteValue = (value: number | null | undefined) => string;
type WriteRow = (timeMs: number, values: readonly string[]) => string;

/** Writes numbers, of which most recur: making the text of a fraction anew takes most of the time of an answer. */
function createValueWriter(missing: string): WriteValue {
  const remembered = new Map<number, string>();
  return (value) => {
    if (value === null || value === undefined) return missing;
    const known = remembered.get(value);
    if (known !== undefined) return known;
    const text = Number.isFinite(value) ? String(value) : missing;
    if (remembered.size < maxRemembered) remembered.set(value, text);
    return text;
  };
}

async function* rows(
  results: AsyncIterable<SeriesResult>,
  keys: readonly SeriesKey[],
  write: { readonly value: WriteValue; readonly row: WriteRow },
): AsyncGenerator<string> {
  const values = keys.map(() => "");
  for await (const { timesMs, columns } of results) {
    const given = keys.map((key) => columns.get(key) ?? []);
    const textOf = (row: number): string => {
      for (const [at, column] of given.entries()) values[at] = write.value(column[row]);
      return write.row(timesMs[row] ?? 0, values);
    };
    for (let from = 0; from < timesMs.length; from += rowsPerPart) {
      let part = "";
      const to = Math.min(timesMs.length, from + rowsPerPart);
      for (let row = from; row < to; row++) part += textOf(row);
      yield part;
    }
  }
}

/** `[{"timestamp":…,"metrics":{…}},…]`, in parts; a value that is no finite number is null. */
export async function* jsonParts(
  results: AsyncIterable<SeriesResult>,
  keys: readonly SeriesKey[],
): AsyncGenerator<string> {
  const names = keys.map((key, at) => `${at === 0 ? "" : ","}${JSON.stringify(key)}:`);
  const row: WriteRow = (timeMs, values) => {
    let text = `,{"timestamp":${timeMs / 1_000},"metrics":{`;
    for (let at = 0; at < names.length; at++) text += (names[at] ?? "") + (values[at] ?? "null");
    return `${text}}}`;
  };
  let first = true;
  for await (const part of rows(results, keys, { value: createValueWriter("null"), row })) {
    yield first ? `[${part.slice(1)}` : part;
    first = false;
  }
  yield first ? "[]" : "]";
}

/** One line a row under `timestamp` and the names of the series, in parts; a missing value is an empty cell. */
export async function* csvParts(
  results: AsyncIterable<SeriesResult>,
  keys: readonly SeriesKey[],
): AsyncGenerator<string> {
  yield `${["timestamp", ...keys].map(csvCell).join(",")}\r\n`;
  yield* rows(results, keys, {
    value: createValueWriter(""),
    row: (timeMs, values) => `${timeMs / 1_000},${values.join(",")}\r\n`,
  });
}
