import { AgentError } from "../core/errors.ts";
import type { Clock } from "../core/ports.ts";
import {
  type ColumnChooser,
  createColumnChooser,
  createJoiner,
  filterOf,
  fromEncoded,
  fromRows,
  fromStored,
  overlay,
  type SeriesFilter,
} from "./columns.ts";
import type { StoredBlock } from "./block.ts";
import type { Backend, SeriesData, SeriesQuery } from "./contract.ts";
import type { Head, Held } from "./head.ts";
import type { DaySchemas, SchemaBook } from "./schema-book.ts";
import {
  blockMs,
  blockName,
  dayMs,
  dayOf,
  hourMs,
  otherForms,
  spansIn,
  type Span,
} from "./slots.ts";
import type { Unreadable } from "./unreadable.ts";

/** No retention is longer than 90 days; a question for more must not become a thousand commands. */
const longestMs = 91 * dayMs;

interface ReadDeps {
  readonly backend: Backend;
  readonly node: string;
  readonly clock: Clock;
  readonly head: Head;
  readonly book: SchemaBook;
  readonly unreadable: Unreadable;
}

const nothing: SeriesData = { timesMs: [], columns: new Map() };

/** The blocks of one day that a range touches. */
interface DayRange {
  readonly day: number;
  readonly spans: readonly Span[];
}

/** What may be stored between two times, by day, oldest first; ten minutes before the hour they are in. */
function daysOf(fromMs: number, toMs: number): readonly DayRange[] {
  return spansIn(fromMs, toMs, dayMs).map(({ startMs }) => {
    const first = Math.max(fromMs, startMs);
    const last = Math.min(toMs, startMs + dayMs - 1);
    const spans = [...spansIn(first, last, hourMs), ...spansIn(first, last, blockMs)];
    return { day: dayOf(startMs), spans: spans.sort((a, b) => a.startMs - b.startMs) };
  });
}

/** What is asked for, in the forms the parts of a read need. */
interface Asked {
  readonly node: string;
  readonly wants: SeriesFilter;
  readonly choose: ColumnChooser;
}

/** Reads blocks of a day that are at the backend; one that cannot be decoded is noted and skipped. */
function createDayReader({ backend, book, unreadable }: ReadDeps) {
  const decode = (
    blocks: readonly StoredBlock[],
    schemas: DaySchemas,
    { node, choose }: Asked,
  ): readonly SeriesData[] =>
    blocks.flatMap((block) => {
      try {
        return [fromStored(block, schemas, choose)];
      } catch (cause) {
        if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
        unreadable.note({ node, day: dayOf(block.startMs), block: blockName(block) }, cause);
        return [];
      }
    });
  return async ({ day, spans }: DayRange, asked: Asked): Promise<SeriesData> => {
    if (spans.length === 0) return nothing;
    const { node } = asked;
    const names = spans.map(blockName);
    const [blobs = []] = await backend.read(node, [{ part: "blocks", day, names }]);
    const stored = spans.flatMap((span, index) => {
      const blob = blobs[index] ?? null;
      return blob === null ? [] : [{ ...span, blob }];
    });
    if (stored.length === 0) return nothing;
    let schemas = await book.of(node, day);
    if (stored.some(({ blob: [, number] }) => !schemas.taken.has(number ?? 0)))
      schemas = await book.of(node, day, true);
    return inOrder(decode(stored, schemas, asked));
  };
}

/** Readings that begin one after the other as one; where they overlap, the later counts. */
function inOrder(parts: readonly SeriesData[]): SeriesData {
  const joiner = createJoiner(Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
  let last: SeriesData = nothing;
  for (const part of parts) {
    const overlaps = (part.timesMs[0] ?? Number.POSITIVE_INFINITY) <= (last.timesMs.at(-1) ?? 0);
    if (overlaps) last = overlay(last, part);
    else {
      joiner.add(last);
      last = part;
    }
  }
  joiner.add(last);
  return joiner.result();
}

/** Whether memory has everything the backend has of a block, as far as its time is asked for. */
function isWhole(head: Head, span: Span, asked: readonly Span[]): boolean {
  const isMerged = (one: Span): boolean => head.get(one)?.merged === true;
  if (isMerged(span)) return true;
  const others = otherForms(span).filter(({ startMs, lengthMs }) =>
    asked.some((one) => one.startMs === startMs && one.lengthMs === lengthMs),
  );
  return others.length > 0 && others.every(isMerged);
}

/** What memory has of a block. */
function heldData({ content }: Held, { wants, choose }: Asked): SeriesData {
  return content.form === "rows"
    ? fromRows(content.block, wants)
    : fromEncoded(content.frozen, content.frozen.schema, choose);
}

/** Reads any node from the backend; of the own one, only what memory does not have whole, and memory wins. */
export function createReader(deps: ReadDeps): (query: SeriesQuery) => Promise<SeriesData> {
  const { head, clock } = deps;
  const readDay = createDayReader(deps);
  /** Null: the backend is away, and memory has to do. */
  const readOwnDay = async ({ day, spans }: DayRange, asked: Asked): Promise<SeriesData | null> => {
    try {
      const missing = spans.filter((span) => !isWhole(head, span, spans));
      return await readDay({ day, spans: missing }, asked);
    } catch (cause) {
      if (cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE") return null;
      throw cause;
    }
  };
  const heldDay = ({ spans }: DayRange, asked: Asked): SeriesData =>
    inOrder(
      spans.flatMap((span) => {
        const held = head.get(span);
        return held === undefined ? [] : [heldData(held, asked)];
      }),
    );
  return async ({ node, selectors, ...range }) => {
    const own = node === deps.node;
    const wants = filterOf(selectors);
    const asked = { node, wants, choose: createColumnChooser(wants) };
    const fromMs = Math.max(range.fromMs, clock.now() - longestMs);
    const toMs = Math.min(range.toMs, clock.now() + dayMs);
    const joiner = createJoiner(fromMs, toMs);
    let away = false;
    for (const day of daysOf(fromMs, toMs)) {
      const read = own ? readOwnDay : readDay;
      const stored: SeriesData | null = away ? null : await read(day, asked);
      away ||= stored === null;
      joiner.add(overlay(stored ?? nothing, own ? heldDay(day, asked) : nothing));
    }
    return joiner.result();
  };
}
