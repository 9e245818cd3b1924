import { setImmediate } from "node:timers/promises";
import type { Clock, Log } from "../../core/ports.ts";
import type { Backlog } from "./backlog.ts";
import { encodeUnder, schemaOf } from "./block.ts";
import type { Backend, BlockWrite } from "../contract.ts";
import { type Head, type Held, isDirty, rowsOf } from "./head.ts";
import { findLosses } from "./losses.ts";
import { createMerge } from "./merge.ts";
import type { SchemaBook } from "../schema-book.ts";
import type { SchemaWriter } from "./schema-writer.ts";
import { blockMs, blockName, dayMs, dayOf, type Span } from "../slots.ts";
import { createRetention } from "../retention.ts";
import { placeInFleet } from "../spread.ts";
import type { Unreadable } from "../unreadable.ts";

/** Blocks a flush sends at most, so that the backlog of an outage goes out in bites of some 150 kB. */
const maxBlocksPerFlush = 64;

/** A quarter into the next block the closed one is sent once more: a failover may have lost its last rows. */
function resendAtMs({ startMs, lengthMs }: Span): number {
  return startMs + lengthMs + blockMs / 4;
}

export interface FlushDeps {
  readonly backend: Backend;
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly head: Head;
  readonly book: SchemaBook;
  readonly schemas: SchemaWriter;
  readonly unreadable: Unreadable;
  /** Null: what waits is in memory alone. */
  readonly backlog: Backlog | null;
  readonly retentionDays: () => number;
  readonly expireAt: (day: number) => number;
}

/** Brings the head to the backend. */
export interface Flusher {
  /** One round; never rejects. */
  flush(): Promise<void>;
  /** Rounds for what waits, out of turn, while they get on and for a moment at most; never rejects. */
  drain(): Promise<void>;
}

/** An agent that stops has half a second to save what it has. */
const drainMs = 300;

/** Who takes part in one round: the blocks of one day. */
interface DayBatch {
  readonly day: number;
  readonly held: readonly Held[];
}

/** Blocks to send by day, oldest first. */
function byDay(head: Head, isDue: (held: Held) => boolean): readonly DayBatch[] {
  const days = Map.groupBy(head.all().filter(isDue), ({ startMs }) => dayOf(startMs));
  return [...days].map(([day, held]) => ({ day, held }));
}

/** Sends some blocks of a day in one go. */
function createSend(deps: FlushDeps) {
  const { backend, node, clock, schemas, expireAt } = deps;
  const merge = createMerge(deps);
  const encode = async (day: number, held: Held): Promise<BlockWrite | null> => {
    const block = rowsOf(held);
    const choice = await schemas.forBlock(day, schemaOf(block));
    // A row may have come in between; with another step the block waits for the next round.
    if (choice === null || choice.schema.stepMs !== block.stepMs) return null;
    const blob = encodeUnder(block, choice.number, choice.schema);
    return { day, block: blockName(held), blob };
  };
  return async ({ day, held }: DayBatch): Promise<void> => {
    await merge(
      day,
      held.filter(({ merged }) => !merged),
    );
    const sent: { held: Held; changes: number; write: BlockWrite }[] = [];
    for (const one of held.filter(isDirty)) {
      const { changes } = one;
      const write = await encode(day, one);
      if (write !== null) sent.push({ held: one, changes, write });
      // A block of a backlog takes some milliseconds to encode, during which nothing else runs.
      if (held.length > 1) await setImmediate();
    }
    if (sent.length === 0) return;
    const nowMs = clock.now();
    await backend.writeBlocks(
      node,
      sent.map(({ write }) => write),
      expireAt,
    );
    for (const { held, changes } of sent) {
      held.sentChanges = changes;
      held.resent ||= nowMs >= resendAtMs(held);
    }
  };
}

/** Says once that the backend refuses, and once that it takes again; when it is away, the backend itself says so. */
function createReport({ backend, log }: FlushDeps) {
  let refused = false;
  return (cause: unknown): void => {
    if (cause === null) {
      if (refused) log.info("series stored again");
      refused = false;
    } else if (!refused && backend.status().status === "ok") {
      refused = true;
      log.warn("series not stored", { cause });
    }
  };
}

/** A backlog of more blocks is that of an outage which the whole fleet had: half an hour of ordinary blocks. */
const outageBlocks = 3;
/** After an outage a fleet sends its backlogs within this time, and not at the moment the backend is back. */
const backlogSpreadMs = 60_000;

interface Turn {
  /** Says which blocks are to be sent now; `isBack`: the backend has come back since the last round. */
  take(isBack: boolean): (held: Held) => boolean;
  /** From now on nothing is held back. */
  hurry(): void;
}

/** Holds back the backlog of an outage until this node's turn; the block that is open is sent at once. */
function createTurn({ node, clock, head }: FlushDeps): Turn {
  let turnMs = Number.NEGATIVE_INFINITY;
  const isClosed = ({ startMs, lengthMs }: Span): boolean => startMs + lengthMs <= clock.now();
  let inHurry = false;
  return {
    take: (isBack) => {
      const backlog = head.all().filter((held) => isDirty(held) && isClosed(held));
      if (isBack && backlog.length > outageBlocks)
        turnMs = clock.monotonic() + placeInFleet(node) * backlogSpreadMs;
      const isTurn = inHurry || clock.monotonic() >= turnMs;
      return isTurn ? isDirty : (held) => isDirty(held) && !isClosed(held);
    },
    hurry: () => {
      inHurry = true;
    },
  };
}

/** Makes the head ready for a round: what is due is dirty, what may have changed at the backend is merged again. */
function createPrepare({ backend, head, clock, retentionDays }: FlushDeps) {
  return (isBack: boolean): void => {
    const nowMs = clock.now();
    const keeps = backend.status().status !== "ok";
    head.tidy(nowMs, { retentionMs: retentionDays() * dayMs, keeps });
    for (const held of head.all()) {
      if (isBack) held.merged = false;
      if (!held.resent && held.sentChanges >= 0 && nowMs >= resendAtMs(held)) held.sentChanges = -1;
    }
  };
}

/** One round of sending; resolves to nothing and never rejects. */
function createRound(deps: FlushDeps, turn: Turn): () => Promise<void> {
  const prepare = createPrepare(deps);
  const send = createSend(deps);
  const applyRetention = createRetention(deps, "blocks");
  const report = createReport(deps);
  /** The cause of the first failure, or null. A day that is refused does not hold up the others. */
  const sendAll = async (isBack: boolean): Promise<unknown> => {
    let room = maxBlocksPerFlush;
    let failure: unknown = null;
    for (const { day, held } of byDay(deps.head, turn.take(isBack))) {
      const batch = held.slice(0, room);
      if (batch.length === 0) break;
      try {
        await send({ day, held: batch });
        room -= batch.length;
      } catch (cause) {
        failure ??= cause;
        if (deps.backend.status().status !== "ok") break;
      }
    }
    return failure;
  };
  const { backend } = deps;
  let epoch = backend.epoch();
  return async () => {
    let failed = true;
    try {
      const now = backend.epoch();
      const isBack = now !== epoch && backend.status().status === "ok";
      // What it has lost is looked for in the next round when it is gone again meanwhile.
      if (isBack) await findLosses(deps);
      if (isBack) epoch = now;
      prepare(isBack);
      const failure = await sendAll(isBack);
      if (failure === null) await applyRetention();
      report(failure);
      failed = failure !== null;
    } catch (cause) {
      report(cause);
    }
    deps.backlog?.keep(failed);
  };
}

/** The way of the head to the backend: the open block whole each time, oldest first, again until it is there. */
export function createFlusher(deps: FlushDeps): Flusher {
  const turn = createTurn(deps);
  const round = createRound(deps, turn);
  let running: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  const begin = (): Promise<void> =>
    round().finally(() => {
      running = null;
    });
  // A round on its way may have encoded its blocks before the last row came: who asks now gets the next one.
  const flush = (): Promise<void> => {
    if (running === null) return (running = begin());
    next ??= running.then(() => {
      next = null;
      return (running = begin());
    });
    return next;
  };
  const { head, clock } = deps;
  const waiting = (): number => head.all().filter(isDirty).length;
  return {
    flush,
    drain: async () => {
      turn.hurry();
      const endMs = clock.monotonic() + drainMs;
      for (let before = Number.POSITIVE_INFINITY; waiting() < before;) {
        before = waiting();
        await flush();
        if (waiting() === 0 || clock.monotonic() >= endMs) return;
      }
    },
  };
}
