import type { IncomingMessage } from "node:http";
import { csvCells } from "../base/csv.ts";
import { AgentError, errorText } from "../core/errors.ts";
import type { SeriesKey } from "../core/series.ts";

/** One line of an answer: the time in Unix seconds and a value for each series, as the agent wrote them. */
export interface SeriesRow {
  readonly time: string;
  /** Empty where there is none. */
  readonly values: readonly string[];
}

/** Series of one node: their names, and their rows in time order, some at a time. */
export interface SeriesTable {
  readonly keys: readonly SeriesKey[];
  readonly rows: AsyncIterable<readonly SeriesRow[]>;
  /** Ends the answer early. */
  close(): void;
}

/** The lines of a text that arrives in pieces, those of a piece together; what has no end is no line. */
async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string[], null> {
  let rest = "";
  for await (const piece of pieces) {
    const lines = (rest + piece).split("\r\n");
    rest = lines.pop() ?? "";
    if (lines.length > 0) yield lines;
  }
  return null;
}

function rowOf(line: string): SeriesRow {
  const [time = "", ...values] = line.split(",");
  return { time, values };
}

/** Reads the CSV of an agent as it arrives. Rejects, or breaks off, with HTTP_FAILED. */
export async function readTable(reply: IncomingMessage, url: string): Promise<SeriesTable> {
  reply.setEncoding("utf8");
  const parts = linesOf(reply as AsyncIterable<string>); // proof: an encoding makes its pieces texts
  const next = async (): Promise<readonly string[] | null> => {
    try {
      return (await parts.next()).value;
    } catch (cause) {
      throw new AgentError("HTTP_FAILED", `the answer of ${url} broke off: ${errorText(cause)}`, {
        cause,
      });
    }
  };
  const [head, ...first] = (await next()) ?? [];
  const [timestamp, ...keys] = csvCells(head ?? "");
  if (timestamp !== "timestamp")
    throw new AgentError("HTTP_FAILED", `${url} is not an agent of TargetVPC: it gives no CSV`);
  async function* rows(): AsyncGenerator<readonly SeriesRow[]> {
    for (let part: readonly string[] | null = first; part !== null; part = await next())
      yield part.map(rowOf);
  }
  return { keys, rows: rows(), close: () => reply.destroy() };
}
