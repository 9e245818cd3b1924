import { csvCell } from "../base/csv.ts";
import type { SeriesKey } from "../core/series.ts";
import type { SeriesRow, SeriesTable } from "./answer.ts";

/** Rows of several nodes as one text, made bit by bit. */
export interface RowWriter {
  begin(keys: readonly SeriesKey[]): string;
  /** Rows of one node whose values stand in the order of `keys`. */
  rows(node: string, rows: readonly SeriesRow[], keys: readonly SeriesKey[]): string;
  end(): string;
}

/** A line a time under `node`, `timestamp` and the series; every value as the agent wrote it. */
export function createCsvWriter(): RowWriter {
  return {
    begin: (keys) => `${["node", "timestamp", ...keys].map(csvCell).join(",")}\n`,
    rows: (node, rows) => {
      const cell = csvCell(node);
      return rows.map(({ time, values }) => `${cell},${time},${values.join(",")}\n`).join("");
    },
    end: () => "",
  };
}

/** A list with an object a line, so that it is JSON and `grep` and `head` still work on it. */
export function createJsonWriter(): RowWriter {
  let isFirst = true;
  return {
    begin: () => "[",
    rows: (node, rows, keys) => {
      const head = `{"node":${JSON.stringify(node)},"timestamp":`;
      const names = keys.map((key) => JSON.stringify(key));
      return rows
        .map(({ time, values }) => {
          const metrics = values.map(
            (value, at) => `${names[at]}:${value === "" ? "null" : value}`,
          );
          const before = isFirst ? "\n" : ",\n";
          isFirst = false;
          return `${before}${head}${time},"metrics":{${metrics.join(",")}}}`;
        })
        .join("");
    },
    end: () => (isFirst ? "]\n" : "\n]\n"),
  };
}

/** The rows of a node with its values in the order of other keys; those it does not have are empty. */
export async function* reordered(
  table: SeriesTable,
  keys: readonly SeriesKey[],
): AsyncGenerator<readonly SeriesRow[]> {
  const places = keys.map((key) => table.keys.indexOf(key));
  const isSame = places.length === table.keys.length && places.every((place, at) => place === at);
  for await (const rows of table.rows)
    yield isSame
      ? rows
      : rows.map(({ time, values }) => ({ time, values: places.map((at) => values[at] ?? "") }));
}
