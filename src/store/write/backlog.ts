import { AgentError, errorText } from "../../core/errors.ts";
import type { Clock, Log } from "../../core/ports.ts";
import { type FrozenBlock, freeze } from "./block.ts";
import type { Backend } from "../contract.ts";
import { RecordLog } from "../file/log.ts";
import { type Head, type Held, isDirty } from "./head.ts";
import { formatSchema, parseSchema } from "../format/schemas.ts";
import type { Span } from "../slots.ts";

export interface BacklogDeps {
  readonly dir: string;
  /** Of this node: agents of several nodes may share a directory. */
  readonly name: string;
  /** What does not fit goes, the oldest first. */
  readonly maxBytes: number;
  readonly backend: Pick<Backend, "status">;
  readonly head: Head;
  readonly clock: Clock;
  readonly log: Log;
}

/** Blocks that wait for the backend, on disk too: they outlive an agent that ends meanwhile. */
export interface Backlog {
  /** Takes up what an earlier run left. Never rejects. */
  load(): Promise<void>;
  /** Brings the file up to date; returns at once. */
  keep(): void;
  /** Resolves when the file is up to date and on disk. Never rejects. */
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

/** Throws BLOCK_INVALID. */
function fromBytes(key: string, bytes: Buffer): FrozenBlock {
  const end = bytes.indexOf(newline);
  const schema = parseSchema(bytes.toString("utf8", 0, Math.max(0, end)));
  return { ...spanOf(key), schema, blob: bytes.subarray(end + 1) };
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

  /** `all`: also the open block that was written a moment ago. */
  next(all: boolean): ReadonlyMap<string, Uint8Array | null> {
    const { head, backend } = this.#deps;
    const waiting = new Map(
      head
        .all()
        .filter(isDirty)
        .map((held) => [keyOf(held), held]),
    );
    const gone = [...this.#written.keys()].filter((key) => !waiting.has(key));
    const isAway = backend.status().status !== "ok";
    const fresh = isAway ? [...waiting].filter(([key, held]) => this.#isDue(key, held, all)) : [];
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

  #isDue(key: string, held: Held, all: boolean): boolean {
    if (this.#written.get(key) === held.changes) return false;
    const { clock } = this.#deps;
    if (all || held.startMs + held.lengthMs <= clock.now()) return true;
    if (clock.monotonic() - this.#openSinceMs < openEveryMs) return false;
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
      changes.note(key, head.restore(fromBytes(key, bytes)).changes);
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
      for (const [index, key] of keys.entries()) takeUp(key, values[index] ?? null);
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
  const bring = async (all: boolean): Promise<void> => {
    const next = changes.next(all);
    if (next.size === 0) return;
    const seen = changes.seen();
    try {
      await file.write(next);
      changes.done(next, seen);
      report(null);
    } catch (cause) {
      report(cause);
    }
  };
  let work: Promise<void> = Promise.resolve();
  let queued = false;
  const keep = (): void => {
    // On a disk that hangs one look waits, not one each tick.
    if (queued) return;
    queued = true;
    work = work.then(() => {
      queued = false;
      return bring(false);
    });
  };
  return {
    load: () => (work = work.then(load)),
    keep,
    close: async () => {
      await (work = work.then(() => bring(true)));
      await file.close().catch(report);
    },
  };
}
