import { AgentError } from "../../core/errors.ts";
import type { Clock } from "../../core/ports.ts";
import { fromHeld } from "./columns.ts";
import type { Backend, SeriesData, SeriesQuery } from "../contract.ts";
import { type Asked, askedFor, createDayReader, type DayParts, type DayRange } from "./day-read.ts";
import type { Head } from "../write/head.ts";
import { joined, type Readings, seriesData } from "./readings.ts";
import type { SchemaBook } from "../schema-book.ts";
import { blockMs, dayMs, dayOf, hourMs, otherForms, spansIn, type Span } from "../slots.ts";
import type { Unreadable } from "../unreadable.ts";

/** No retention is longer than 90 days; a question for more must not become a thousand commands. */
const longestMs = 91 * dayMs;

export interface ReadDeps {
  readonly backend: Backend;
  readonly node: string;
  readonly clock: Clock;
  readonly head: Head;
  readonly book: SchemaBook;
  readonly unreadable: Unreadable;
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

/** Whether memory has everything the backend has of a block, as far as its time is asked for. */
function isWhole(head: Head, span: Span, asked: readonly Span[]): boolean {
  const isMerged = (one: Span): boolean => head.get(one)?.merged === true;
  if (isMerged(span)) return true;
  const others = otherForms(span).filter(({ startMs, lengthMs }) =>
    asked.some((one) => one.startMs === startMs && one.lengthMs === lengthMs),
  );
  return others.length > 0 && others.every(isMerged);
}

/** Some days of one node. */
export interface SpanAsked {
  readonly asked: Asked;
  /** Both ends inclusive, Unix milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** What a node has of one day, also outside of the span that was asked for. */
export interface DayReadings {
  readonly day: number;
  readonly readings: Readings;
}

/** Reads samples day by day, oldest first. */
export type DaysReader = (span: SpanAsked) => AsyncGenerator<DayReadings>;

/** Days that are read in one round trip. */
const daysAtOnce = 8;

/** The parts of days that memory has. */
function heldParts(head: Head, { spans }: DayRange, { wants, choose }: Asked): DayParts {
  return spans.flatMap((span) => {
    const held = head.get(span);
    return held === undefined ? [] : [fromHeld(held, wants, choose)];
  });
}

/**
 * Reads any node from the backend; of the own one, only what memory does not have whole, and memory wins. While the
 * backend is away, memory has to do for the own node.
 */
export function createDaysReader(deps: ReadDeps): DaysReader {
  const { head, clock } = deps;
  const readDays = createDayReader(deps);
  const readOwnDays = async (
    ranges: readonly DayRange[],
    asked: Asked,
  ): Promise<readonly DayParts[]> => {
    const missing = ranges.map(({ day, spans }) => ({
      day,
      spans: spans.filter((span) => !isWhole(head, span, spans)),
    }));
    // The open day has no columns, and most often memory has all its blocks.
    const today = dayOf(clock.now());
    const wanted = missing.filter(({ day, spans }) => day < today || spans.length > 0);
    const read = await readDays(wanted, asked);
    const found = new Map(wanted.map(({ day }, index) => [day, read[index] ?? []]));
    return ranges.map((range) => [
      ...(found.get(range.day) ?? []),
      ...heldParts(head, range, asked),
    ]);
  };
  /** Null: the backend is away. */
  const orNull = async (
    ranges: readonly DayRange[],
    asked: Asked,
  ): Promise<readonly DayParts[] | null> => {
    try {
      return await readOwnDays(ranges, asked);
    } catch (cause) {
      if (cause instanceof AgentError && cause.code === "STORE_UNAVAILABLE") return null;
      throw cause;
    }
  };
  return async function* ({ asked, ...span }) {
    const own = asked.node === deps.node;
    const fromMs = Math.max(span.fromMs, clock.now() - longestMs);
    const toMs = Math.min(span.toMs, clock.now() + dayMs);
    const ranges = daysOf(fromMs, toMs);
    let away = false;
    for (let first = 0; first < ranges.length; first += daysAtOnce) {
      const batch = ranges.slice(first, first + daysAtOnce);
      const read = own ? orNull : readDays;
      const stored: readonly DayParts[] | null = away ? null : await read(batch, asked);
      away ||= stored === null;
      for (const [index, range] of batch.entries()) {
        const parts = stored === null ? heldParts(head, range, asked) : (stored[index] ?? []);
        yield { day: range.day, readings: joined(parts) };
      }
    }
  };
}

/** Reads the samples of a span. */
export function createReader(days: DaysReader): (query: SeriesQuery) => Promise<SeriesData> {
  return async ({ node, selectors, fromMs, toMs }) => {
    const read: Readings[] = [];
    for await (const { readings } of days({ asked: askedFor(node, selectors), fromMs, toMs }))
      read.push(readings);
    return seriesData(read, fromMs, toMs);
  };
}
