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
import type { Backend, SeriesData, SeriesQuery } from "./contract.ts";
import type { Head, Held } from "./head.ts";
import type { SchemaBook } from "./schema-book.ts";
import { blockMs, blockNumber, blockStartMs, dayMs, dayOf } from "./slots.ts";
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

/** Blocks of one day in a range, by the time they begin. */
interface DayRange {
  readonly day: number;
  readonly startsMs: readonly number[];
}

/** The blocks between two times, by day, oldest first. */
function daysOf(fromMs: number, toMs: number): readonly DayRange[] {
  const days: { day: number; startsMs: number[] }[] = [];
  for (let startMs = blockStartMs(fromMs); startMs <= toMs; startMs += blockMs) {
    const day = dayOf(startMs);
    if (days.at(-1)?.day !== day) days.push({ day, startsMs: [] });
    days.at(-1)?.startsMs.push(startMs);
  }
  return days;
}

/** What is asked for, in the forms the parts of a read need. */
interface Asked {
  readonly node: string;
  readonly wants: SeriesFilter;
  readonly choose: ColumnChooser;
}

type StoredBlocks = ReadonlyMap<number, SeriesData>;

/** Reads blocks of a day that are at the backend; one that cannot be decoded is noted and skipped. */
function createDayReader({ backend, book, unreadable }: ReadDeps) {
  return async ({ day, startsMs }: DayRange, { node, choose }: Asked): Promise<StoredBlocks> => {
    if (startsMs.length === 0) return new Map();
    const blobs = await backend.readBlocks(node, day, startsMs.map(blockNumber));
    const stored = startsMs.flatMap((startMs, index) => {
      const blob = blobs[index] ?? null;
      return blob === null ? [] : [{ startMs, blob }];
    });
    if (stored.length === 0) return new Map();
    let schemas = await book.of(node, day);
    if (stored.some(({ blob: [, number] }) => !schemas.taken.has(number ?? 0)))
      schemas = await book.of(node, day, true);
    const read = new Map<number, SeriesData>();
    for (const one of stored) {
      try {
        read.set(one.startMs, fromStored(one, schemas, choose));
      } catch (cause) {
        if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
        unreadable.note({ node, day, block: blockNumber(one.startMs) }, cause);
      }
    }
    return read;
  };
}

/** What memory and backend have of a block together; memory wins. */
function joined(held: Held | undefined, stored: SeriesData | undefined, asked: Asked): SeriesData {
  if (held === undefined) return stored ?? nothing;
  const { content } = held;
  const own =
    content.form === "rows"
      ? fromRows(content.block, asked.wants)
      : fromEncoded(content.frozen, content.frozen.schema, asked.choose);
  return stored === undefined ? own : overlay(stored, own);
}

/** Reads any node from the backend; of the own one, only what memory does not have whole. */
export function createReader(deps: ReadDeps): (query: SeriesQuery) => Promise<SeriesData> {
  const { head, clock } = deps;
  const readDay = createDayReader(deps);
  /** Null: the backend is away, and memory has to do. */
  const readOwnDay = async (range: DayRange, asked: Asked): Promise<StoredBlocks | null> => {
    const startsMs = range.startsMs.filter((startMs) => head.get(startMs)?.merged !== true);
    try {
      return await readDay({ ...range, startsMs }, asked);
    } catch (cause) {
      if (cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE") return null;
      throw cause;
    }
  };
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
      const stored: StoredBlocks | null = away ? null : await read(day, asked);
      away ||= stored === null;
      for (const startMs of day.startsMs)
        joiner.add(joined(own ? head.get(startMs) : undefined, stored?.get(startMs), asked));
    }
    return joiner.result();
  };
}
