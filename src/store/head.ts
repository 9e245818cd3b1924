import type { Row, SeriesKey } from "../core/series.ts";
import {
  type Block,
  createBlock,
  freeze,
  type FrozenBlock,
  gridStepMs,
  putRow,
  thaw,
} from "./block.ts";
import type { SchemaColumn } from "./contract.ts";
import { blockMs, blockStartMs, dayMs } from "./slots.ts";

/** A block in memory and how far it has got on its way to the backend. */
export interface Held {
  readonly startMs: number;
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
  /** Freezes what gets no more rows and drops what is sent and older than a day, or older than the retention. */
  tidy(nowMs: number, retentionMs: number): void;
  get(startMs: number): Held | undefined;
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

function hold(startMs: number, stepMs: number): Held {
  return {
    startMs,
    content: { form: "rows", block: createBlock(startMs, stepMs) },
    changes: 0,
    sentChanges: -1,
    merged: false,
    resent: false,
    blocked: false,
  };
}

export function createHead(): Head {
  const blocks = new Map<number, Held>();
  const mayGo = (held: Held, nowMs: number, retentionMs: number): boolean =>
    Math.abs(nowMs - held.startMs) >
    (isDirty(held) || held.blocked ? retentionMs : Math.min(retentionMs, keptAfterSendMs));
  return {
    put: (row, stepMs, column) => {
      const startMs = blockStartMs(row.slotMs);
      const held = blocks.get(startMs) ?? hold(startMs, gridStepMs(stepMs));
      blocks.set(startMs, held);
      putRow(rowsOf(held), row.slotMs, row.values, column);
      held.changes++;
    },
    tidy: (nowMs, retentionMs) => {
      for (const held of blocks.values()) {
        const closedForMs = nowMs - held.startMs - blockMs;
        if (mayGo(held, nowMs, retentionMs)) blocks.delete(held.startMs);
        else if (held.content.form === "rows" && closedForMs >= blockMs)
          held.content = { form: "frozen", frozen: freeze(held.content.block) };
      }
    },
    get: (startMs) => blocks.get(startMs),
    all: () => [...blocks.values()].sort((a, b) => a.startMs - b.startMs),
  };
}
