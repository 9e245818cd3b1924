import type { SeriesKey } from "../../core/series.ts";
import type { SeriesResult } from "../ports.ts";

/** Rows written in one go: some 200 KB, a few milliseconds during which nothing else runs. */
const rowsPerPart = 4_096;

type WriteRow = (timeMs: number, values: readonly (number | null)[]) => string;

async function* rows(
  results: AsyncIterable<SeriesResult>,
  keys: readonly SeriesKey[],
  write: WriteRow,
): AsyncGenerator<string> {
  for await (const { timesMs, columns } of results) {
    const given = keys.map((key) => columns.get(key));
    for (let from = 0; from < timesMs.length; from += rowsPerPart) {
      let part = "";
      const to = Math.min(timesMs.length, from + rowsPerPart);
      for (let row = from; row < to; row++) {
        const values = given.map((column) => column?.[row] ?? null);
        part += write(timesMs[row] ?? 0, values);
      }
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
  const write: WriteRow = (timeMs, values) => {
    let row = `,{"timestamp":${timeMs / 1_000},"metrics":{`;
    for (let at = 0; at < names.length; at++) {
      const value = values[at] ?? null;
      row += `${names[at] ?? ""}${value !== null && Number.isFinite(value) ? value : "null"}`;
    }
    return `${row}}}`;
  };
  let first = true;
  for await (const part of rows(results, keys, write)) {
    yield first ? `[${part.slice(1)}` : part;
    first = false;
  }
  yield first ? "[]" : "]";
}

/** A CSV cell (RFC 4180); what a spreadsheet would take for a formula is made a text. */
export function csvCell(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** One line a row under `timestamp` and the names of the series, in parts; a missing value is an empty cell. */
export async function* csvParts(
  results: AsyncIterable<SeriesResult>,
  keys: readonly SeriesKey[],
): AsyncGenerator<string> {
  yield `${["timestamp", ...keys].map(csvCell).join(",")}\r\n`;
  yield* rows(results, keys, (timeMs, values) => {
    let row = String(timeMs / 1_000);
    for (const value of values) row += value !== null && Number.isFinite(value) ? `,${value}` : ",";
    return `${row}\r\n`;
  });
}
