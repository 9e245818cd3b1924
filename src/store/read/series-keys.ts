import { mapParallel } from "../../base/parallel.ts";
import { AgentError } from "../../core/errors.ts";
import type { SeriesKey } from "../../core/series.ts";
import type { Backend, SpanQuery } from "../contract.ts";
import type { Head } from "../write/head.ts";
import type { SchemaBook } from "../schema-book.ts";
import { dayOf } from "../slots.ts";

interface SeriesKeysDeps {
  readonly backend: Backend;
  /** `cluster/name` of this node. */
  readonly node: string;
  readonly head: Head;
  readonly book: SchemaBook;
}

/** Names of a day's columns or tier that are no series: what is said about the day itself. */
export function isSeries(name: string): boolean {
  return !name.startsWith("@");
}

/** Days that are asked for at a time, three questions each: many nodes are asked beside each other. */
const daysAtOnce = 4;

function daysIn({ fromMs, toMs }: SpanQuery): readonly number[] {
  const [first, last] = [dayOf(fromMs), dayOf(toMs)];
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => first + index);
}

/** Lists the series of a node by what its days say they hold. */
export function createSeriesKeys(
  deps: SeriesKeysDeps,
): (query: SpanQuery) => Promise<readonly SeriesKey[]> {
  const { backend, head, book } = deps;
  const stored = async (node: string, day: number): Promise<readonly SeriesKey[]> => {
    const [schemas, columns, tier] = await Promise.all([
      book.of(node, day, true),
      backend.names(node, day, "columns"),
      backend.names(node, day, "tier"),
    ]);
    const ofBlocks = [...schemas.known.values()].flatMap((schema) =>
      schema.columns.map(([key]) => key),
    );
    return [...ofBlocks, ...columns, ...tier].filter(isSeries);
  };
  const held = ({ fromMs, toMs }: SpanQuery): readonly SeriesKey[] =>
    head
      .all()
      .filter(({ startMs, lengthMs }) => startMs <= toMs && startMs + lengthMs > fromMs)
      .flatMap(({ content }) =>
        (content.form === "rows" ? content.block : content.frozen.schema).columns.map(
          ([key]) => key,
        ),
      );
  return async (query) => {
    const isOwn = query.node === deps.node;
    const found = new Set(isOwn ? held(query) : []);
    try {
      const days = await mapParallel(daysIn(query), daysAtOnce, (day) => stored(query.node, day));
      for (const key of days.flat()) found.add(key);
    } catch (cause) {
      // Memory has to do for the own node while the backend is away.
      if (!isOwn || !(cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE"))
        throw cause;
    }
    return [...found].sort();
  };
}
