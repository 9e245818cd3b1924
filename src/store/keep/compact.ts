import { setImmediate } from "node:timers/promises";
import { AgentError } from "../../core/errors.ts";
import type { Log } from "../../core/ports.ts";
import type { SeriesKey } from "../../core/series.ts";
import {
  type ClosedDay,
  columnsOf,
  type DayBlock,
  readableBlock,
  samplesOf,
} from "./compact-day.ts";
import { type Backend, rowsName } from "../contract.ts";
import { decodeRows } from "../format/day-columns.ts";
import type { Readings } from "../read/readings.ts";
import type { SchemaBook } from "../schema-book.ts";
import { isSeries } from "../read/series-keys.ts";
import { blockSpan, type BlockName } from "../slots.ts";
import type { TierWriter } from "./tier.ts";
import { coveredName, decodeCoverage, pointsPerDay } from "../format/tier-codec.ts";
import { type DayPoints, pointsOf } from "./tier-points.ts";
import type { Unreadable } from "../unreadable.ts";

/** Blocks that are read in one round trip, some 100 kB. */
const blocksAtOnce = 48;

export interface CompactDeps {
  readonly backend: Backend;
  readonly node: string;
  readonly log: Log;
  readonly book: SchemaBook;
  readonly unreadable: Unreadable;
  readonly tier: Pick<TierWriter, "writeDay">;
  /** Unix seconds. */
  readonly expireAt: (day: number) => number;
}

/**
 * What became of a closed day: its blocks were swapped for columns; they changed meanwhile, so again later; it cannot be
 * kept as columns and stays as it is; there was nothing to do.
 */
export type Care = "compacted" | "refused" | "failed" | "idle";

/** Takes care of the closed days of this node. */
export interface Compactor {
  /** Rejects with STORE_UNAVAILABLE; ends early, with the reason of the signal, when it is to stop. */
  care(day: number, signal?: AbortSignal): Promise<Care>;
}

/** A closed day as it was read. */
interface StoredDay extends ClosedDay {
  readonly rowsBlob: Uint8Array | null;
  /** The blocks that can be read, as they were read. */
  readonly blobs: ReadonlyMap<BlockName, Uint8Array>;
}

/** The blocks of a day that can be read, in rising order of who counts; the others are noted, and stay. */
function createBlockReader({ backend, node, book, unreadable }: CompactDeps) {
  const fetch = async (
    day: number,
    names: readonly BlockName[],
  ): Promise<Map<string, Uint8Array>> => {
    const found = new Map<BlockName, Uint8Array>();
    for (let first = 0; first < names.length; first += blocksAtOnce) {
      const some = names.slice(first, first + blocksAtOnce);
      const [values = []] = await backend.read(node, [{ part: "blocks", day, names: some }]);
      for (const [index, name] of some.entries()) {
        const blob = values[index] ?? null;
        if (blob !== null) found.set(name, blob);
      }
    }
    return found;
  };
  return async (day: number): Promise<ReadonlyMap<BlockName, DayBlock>> => {
    const fetched = await fetch(day, await backend.names(node, day, "blocks"));
    if (fetched.size === 0) return new Map();
    const schemas = await book.of(node, day, true);
    const found: [BlockName, DayBlock][] = [];
    for (const [name, blob] of fetched) {
      const span = blockSpan(day, name);
      if (span === null) continue;
      try {
        found.push([name, readableBlock(span, blob, schemas)]);
      } catch (cause) {
        if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
        unreadable.note({ node, day, block: name }, cause);
      }
      await setImmediate();
    }
    // An hour before the ten minutes in it, which count.
    found.sort(([, a], [, b]) => a.startMs - b.startMs || b.lengthMs - a.lengthMs);
    return new Map(found);
  };
}

/** Columns of an earlier compaction. Throws BLOCK_INVALID when they cannot be read. */
function createColumnReader({ backend, node }: CompactDeps) {
  return async (day: number): Promise<Pick<StoredDay, "rows" | "rowsBlob" | "columns">> => {
    const names = (await backend.names(node, day, "columns")).filter(isSeries);
    const wanted = [{ part: "columns", day, names: [rowsName, ...names] }] as const;
    const [[rowsBlob = null, ...values] = []] = await backend.read(node, wanted);
    const columns = new Map<SeriesKey, Uint8Array>();
    for (const [index, name] of names.entries()) {
      const value = values[index] ?? null;
      if (value !== null) columns.set(name, value);
    }
    return { rows: rowsBlob === null ? null : decodeRows(day, rowsBlob), rowsBlob, columns };
  };
}

/** Joins the points of some series after the others to those of their day. */
function createDayPoints(day: number): { add(readings: Readings): void; result(): DayPoints } {
  const range = { day, begin: 0, end: pointsPerDay };
  const parts: DayPoints[] = [];
  return {
    add: (readings) => void parts.push(pointsOf(readings, range)),
    result: () => ({
      columns: new Map(parts.flatMap(({ columns }) => [...columns])),
      present: parts[0]?.present ?? new Uint8Array(pointsPerDay),
    }),
  };
}

/** Swaps blocks for columns, and then makes the tier exact. */
function createSwap({ backend, node, tier, expireAt }: CompactDeps) {
  return async (stored: StoredDay, signal?: AbortSignal): Promise<Care> => {
    const { day, blobs, rowsBlob } = stored;
    const points = createDayPoints(day);
    const made = await columnsOf(stored, (readings) => points.add(readings), signal);
    signal?.throwIfAborted();
    const isSwapped = await backend.compact(node, day, {
      blocks: blobs,
      rows: rowsBlob,
      columns: new Map([[rowsName, made.rowsBlob], ...made.columns]),
      expireAt: expireAt(day),
    });
    if (!isSwapped) return "refused";
    await tier.writeDay(day, made.rows.revision, points.result());
    return "compacted";
  };
}

/** Whether `@covered` says that a tier is whole and of a revision. */
function isTierOf(said: Uint8Array | null, revision: number): boolean {
  if (said === null) return false;
  try {
    const coverage = decodeCoverage(said);
    return coverage.revision === revision && coverage.points === pointsPerDay;
  } catch (cause) {
    if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
    return false;
  }
}

/** Whether a day's tier is whole and of the revision of its columns; one without columns needs none. */
function createTierCheck({ backend, node }: CompactDeps) {
  return async (day: number): Promise<boolean> => {
    const [rows, tier] = await backend.read(node, [
      { part: "columns", day, names: [rowsName] },
      { part: "tier", day, names: [coveredName] },
    ]);
    const blob = rows?.[0] ?? null;
    return blob === null || isTierOf(tier?.[0] ?? null, decodeRows(day, blob).revision);
  };
}

/** Makes the tier of a compacted day anew: it was lost, or never written. */
function createMend({ tier }: CompactDeps) {
  return async (stored: ClosedDay, signal?: AbortSignal): Promise<Care> => {
    if (stored.rows === null) return "idle";
    const points = createDayPoints(stored.day);
    for await (const readings of samplesOf(stored)) {
      signal?.throwIfAborted();
      points.add(readings);
    }
    await tier.writeDay(stored.day, stored.rows.revision, points.result());
    return "idle";
  };
}

export function createCompactor(deps: CompactDeps): Compactor {
  const { node, log } = deps;
  const readBlocks = createBlockReader(deps);
  const readColumns = createColumnReader(deps);
  const swap = createSwap(deps);
  const mend = createMend(deps);
  const hasItsTier = createTierCheck(deps);
  const said = new Set<number>();
  return {
    care: async (day, signal) => {
      try {
        const blocks = await readBlocks(day);
        if (blocks.size === 0 && (await hasItsTier(day))) return "idle";
        const columns = await readColumns(day);
        const blobs = new Map([...blocks].map(([name, { blob }]) => [name, blob]));
        const stored = { day, blocks: [...blocks.values()], blobs, ...columns };
        return await (blocks.size > 0 ? swap(stored, signal) : mend(stored, signal));
      } catch (cause) {
        if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
        if (!said.has(day)) log.warn("day not compacted; it stays in blocks", { node, day, cause });
        said.add(day);
        return "failed";
      }
    },
  };
}
