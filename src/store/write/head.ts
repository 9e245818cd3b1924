import { isDeepStrictEqual } from "node:util";
import type { Row, SeriesKey } from "../../core/series.ts";
import {
  type Block,
  createBlock,
  freeze,
  type FrozenBlock,
  gridStepMs,
  mergeEncoded,
  putRow,
  thaw,
} from "./block.ts";
import type { BlockSchema, SchemaColumn } from "../contract.ts";
import { blockMs, dayMs, hourMs, spanAt, type Span } from "../slots.ts";

/** A block in memory and how far it has got on its way to the backend. */
export interface Held extends Span {
  content:
    | { readonly form: "rows"; readonly block: Block }
    | { readonly form: "frozen"; readonly frozen: FrozenBlock };
  /** Counts changes, so that a row that arrives while the block is sent is not forgotten. */
  changes: number;
  /** `changes` when it was last sent; -1: never, or it is to be sent again. */
  sentChanges: number;
  /** Whether what the backend had of it is in it. */
  merged: boolean;
  /** Whether it was sent after it was closed and left to settle. */
  resent: boolean;
  /** The backend has it from a newer version of the agent: it must not be overwritten. */
  blocked: boolean;
}

/** The newest samples of this node: what is not yet at the backend, and a day of what is. */
export interface Head {
  put(row: Row, stepMs: number, column: (key: SeriesKey) => SchemaColumn): void;
  /**
   * Freezes what gets no more rows, and drops what is older than the retention, or than a day when it is sent; `keeps`:
   * the backend is away, and may come back without what was sent.
   */
  tidy(nowMs: number, limits: { readonly retentionMs: number; readonly keeps: boolean }): void;
  /** Takes up a block of an earlier run that is still to be sent; rows that are here win. Throws BLOCK_INVALID. */
  restore(frozen: FrozenBlock): Held;
  get(span: Span): Held | undefined;
  /** Every block, oldest first. */
  all(): readonly Held[];
}

/** Sent blocks are kept for reads while the backend is away, or has lost them. */
const keptAfterSendMs = dayMs;

/** Whether a block has to be sent. */
export function isDirty(held: Held): boolean {
  return !held.blocked && held.sentChanges !== held.changes;
}

/** The rows of a block, thawed when it was frozen. */
export function rowsOf(held: Held): Block {
  if (held.content.form === "frozen")
    held.content = { form: "rows", block: thaw(held.content.frozen) };
  return held.content.block;
}

function hold({ startMs, lengthMs }: Span, content: Held["content"]): Held {
  return {
    startMs,
    lengthMs,
    content,
    changes: 0,
    sentChanges: -1,
    merged: false,
    resent: false,
    blocked: false,
  };
}

/** What an hour of ten series holds at ten seconds: with more, rewriting the open hour costs more than it saves. */
const maxHourSamples = 3_600;

/** The length of a new block: an hour where that holds few samples. */
function lengthFor(seriesCount: number, stepMs: number): number {
  return seriesCount * (hourMs / stepMs) <= maxHourSamples ? hourMs : blockMs;
}

export function createHead(): Head {
  const blocks = new Map<string, Held>();
  const keyOf = ({ startMs, lengthMs }: Span): string => `${startMs}+${lengthMs}`;
  const get = (span: Span): Held | undefined => blocks.get(keyOf(span));
  /** A block that is begun gets the rows of its time, however many series they have. */
  const begun = (slotMs: number): Held | undefined =>
    get(spanAt(slotMs, hourMs)) ?? get(spanAt(slotMs, blockMs));
  const begin = ({ slotMs, values }: Row, stepMs: number): Held => {
    const span = spanAt(slotMs, lengthFor(values.size, stepMs));
    return hold(span, { form: "rows", block: createBlock(span, stepMs) });
  };
  const keptMs = (held: Held, retentionMs: number, keeps: boolean): number =>
    keeps || isDirty(held) || held.blocked ? retentionMs : Math.min(retentionMs, keptAfterSendMs);
  let schema: BlockSchema | null = null;
  /** Blocks of a backlog share their schema, which would else be larger than they are. */
  const frozen = (block: Block): FrozenBlock => {
    const made = freeze(block);
    if (schema === null || !isDeepStrictEqual(schema, made.schema)) schema = made.schema;
    return { ...made, schema };
  };
  return {
    put: (row, stepMs, column) => {
      const held = begun(row.slotMs) ?? begin(row, gridStepMs(stepMs));
      blocks.set(keyOf(held), held);
      putRow(rowsOf(held), row.slotMs, row.values, column);
      held.changes++;
    },
    tidy: (nowMs, { retentionMs, keeps }) => {
      for (const held of blocks.values()) {
        const closedForMs = nowMs - held.startMs - held.lengthMs;
        if (Math.abs(nowMs - held.startMs) > keptMs(held, retentionMs, keeps))
          blocks.delete(keyOf(held));
        else if (held.content.form === "rows" && closedForMs >= blockMs)
          held.content = { form: "frozen", frozen: frozen(held.content.block) };
      }
    },
    restore: (block) => {
      const held = get(block);
      if (held === undefined) {
        const fresh = hold(block, { form: "frozen", frozen: block });
        blocks.set(keyOf(block), fresh);
        return fresh;
      }
      mergeEncoded(rowsOf(held), block, block.schema);
      held.changes++;
      return held;
    },
    get,
    all: () => [...blocks.values()].sort((a, b) => a.startMs - b.startMs),
  };
}
