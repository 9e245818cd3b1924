import { setImmediate } from "node:timers/promises";
import { AgentError, errorText } from "../../core/errors.ts";
import type { Clock, Log } from "../../core/ports.ts";
import { type FrozenBlock, freeze } from "./block.ts";
import { blockHeader, blockVersion, decodeNumbers } from "../format/block-codec.ts";
import { RecordLog } from "../file/log.ts";
import { type Head, type Held, isDirty } from "./head.ts";
import { formatSchema, parseSchema } from "../format/schemas.ts";
import { slotGrid, type Span } from "../slots.ts";

export interface BacklogDeps {
  readonly dir: string;
  /** Of this node: agents of several nodes may share a directory. */
  readonly name: string;
  /** What does not fit goes, the oldest first. */
  readonly maxBytes: number;
  readonly head: Head;
  readonly clock: Clock;
  readonly log: Log;
}

/** Blocks that wait for the backend, on disk too: they outlive an agent that ends meanwhile. */
export interface Backlog {
  /** Takes up what an earlier run left. Never rejects. */
  load(): Promise<void>;
  /** Brings the file up to date; returns at once. `failed`: what is dirty could not be sent, the open block too. */
  keep(failed: boolean): void;
  /** Resolves when the file is up to date and on disk; from then on it stays as it is. Never rejects. */
  close(): Promise<void>;
}

/** The open block changes with every tick; a process that dies loses so much of it at most. */
const openEveryMs = 10_000;

const newline = 10;

function keyOf({ startMs, lengthMs }: Span): string {
  return `${startMs} ${lengthMs}`;
}

function spanOf(key: string): Span {
  const [startMs, lengthMs] = key.split(" ").map(Number);
  return { startMs: startMs ?? Number.NaN, lengthMs: lengthMs ?? Number.NaN };
}

function frozenOf({ content }: Held): FrozenBlock {
  return content.form === "frozen" ? content.frozen : freeze(content.block);
}

/** The schema as a line of JSON, then the block. */
function toBytes({ schema, blob }: FrozenBlock): Uint8Array {
  return Buffer.concat([Buffer.from(`${formatSchema(schema)}\n`), blob]);
}

/** A block that can be sent and read; null: it is a newer agent's. Throws BLOCK_INVALID. */
function fromBytes(key: string, bytes: Buffer): FrozenBlock | null {
  const end = bytes.indexOf(newline);
  const schema = parseSchema(bytes.toString("utf8", 0, Math.max(0, end)));
  const [span, blob] = [spanOf(key), bytes.subarray(end + 1)];
  if (blockHeader(blob).version > blockVersion) return null;
  const slots = slotGrid(span, schema.stepMs).count;
  decodeNumbers(blob, { columns: schema.columns.length, slots }, [...schema.columns.keys()]);
  return { ...span, schema, blob };
}

/** Says once that the file cannot be written, and once that it can again. */
function createReport({ log, dir }: BacklogDeps) {
  let failing = false;
  return (cause: unknown): void => {
    if (cause !== null && !failing)
      log.warn("backlog not kept on disk; it stays in memory", { dir, cause: errorText(cause) });
    if (cause === null && failing) log.info("backlog kept on disk again", { dir });
    failing = cause !== null;
  };
}

/** Blocks that still get rows: those that were sent a moment ago need not be on disk, and not each row of the others. */
type OpenBlocks = "none" | "now and then" | "all";

/** What of the head is to be written to the file and taken out of it. */
class Changes {
  readonly #deps: BacklogDeps;
  /** By key, what `changes` of a block was when it was written to the file. */
  readonly #written = new Map<string, number>();
  #openSinceMs = Number.NEGATIVE_INFINITY;

  constructor(deps: BacklogDeps) {
    this.#deps = deps;
  }

  /** What is already in the file. */
  note(key: string, changes: number): void {
    this.#written.set(key, changes);
  }

  /** What has changed, and how far each open block is meant. */
  next(open: OpenBlocks): ReadonlyMap<string, Uint8Array | null> {
    const { head } = this.#deps;
    const waiting = new Map(
      head
        .all()
        .filter(isDirty)
        .map((held) => [keyOf(held), held]),
    );
    const gone = [...this.#written.keys()].filter((key) => !waiting.has(key));
    const fresh = [...waiting].filter(([key, held]) => this.#isDue(key, held, open));
    return new Map<string, Uint8Array | null>([
      ...gone.map((key) => [key, null] as const),
      ...fresh.map(([key, held]) => [key, toBytes(frozenOf(held))] as const),
    ]);
  }

  /** These changes are in the file, of blocks as they were when `next` was asked. */
  done(changes: ReadonlyMap<string, Uint8Array | null>, seen: ReadonlyMap<string, number>): void {
    for (const [key, value] of changes)
      if (value === null) this.#written.delete(key);
      else this.#written.set(key, seen.get(key) ?? 0);
  }

  /** What `changes` of every block is now. */
  seen(): ReadonlyMap<string, number> {
    return new Map(this.#deps.head.all().map((held) => [keyOf(held), held.changes]));
  }

  #isDue(key: string, held: Held, open: OpenBlocks): boolean {
    if (this.#written.get(key) === held.changes) return false;
    const { clock } = this.#deps;
    if (open === "all" || held.startMs + held.lengthMs <= clock.now()) return true;
    if (open === "none" || clock.monotonic() - this.#openSinceMs < openEveryMs) return false;
    this.#openSinceMs = clock.monotonic();
    return true;
  }
}

interface Parts {
  readonly file: RecordLog;
  readonly changes: Changes;
  readonly report: (cause: unknown) => void;
}

/** Takes up what the file has. */
function createLoad({ head, log }: BacklogDeps, { file, changes, report }: Parts) {
  const takeUp = (key: string, bytes: Buffer | null): void => {
    if (bytes === null) return;
    try {
      const block = fromBytes(key, bytes);
      if (block === null) log.warn("block of a newer agent left in the backlog", { block: key });
      else changes.note(key, head.restore(block).changes);
    } catch (cause) {
      if (!(cause instanceof AgentError)) throw cause;
      log.warn("block of an earlier run unreadable", { block: key, cause: errorText(cause) });
      changes.note(key, 0);
    }
  };
  return async (): Promise<void> => {
    try {
      const keys = await file.keys();
      const values = await file.read(keys);
      for (const [index, key] of keys.entries()) {
        takeUp(key, values[index] ?? null);
        await setImmediate();
      }
      if (keys.length > 0) log.info("backlog of an earlier run", { blocks: keys.length });
    } catch (cause) {
      report(cause);
    }
  };
}

export function createBacklog(deps: BacklogDeps): Backlog {
  const { dir, name, maxBytes, log } = deps;
  const order = (a: string, b: string): number => spanOf(a).startMs - spanOf(b).startMs;
  const file = new RecordLog({ dir, name, log, cap: { maxBytes, order } });
  const changes = new Changes(deps);
  const report = createReport(deps);
  const load = createLoad(deps, { file, changes, report });
  const bring = async (open: OpenBlocks): Promise<void> => {
    try {
      const next = changes.next(open);
      if (next.size === 0) return;
      const seen = changes.seen();
      await file.write(next);
      changes.done(next, seen);
      report(null);
    } catch (cause) {
      report(cause);
    }
  };
  let work: Promise<void> = Promise.resolve();
  let queued = false;
  let closed = false;
  let failing = false;
  const keep = (failed: boolean): void => {
    failing = failed;
    // On a disk that hangs one look waits, not one each tick.
    if (queued || closed) return;
    queued = true;
    work = work.then(() => {
      queued = false;
      return bring(failing ? "now and then" : "none");
    });
  };
  return {
    load: () => (work = work.then(load)),
    keep,
    close: async () => {
      closed = true;
      await (work = work.then(() => bring("all")));
      await file.close().catch(report);
    },
  };
}
