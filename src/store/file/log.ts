import { AgentError, codeOf, errorText } from "../../core/errors.ts";
import type { Log } from "../../core/ports.ts";
import { type Cap, type Changes, toDrop, toSteps } from "./cap.ts";
import { header, LogFile } from "./log-file.ts";
import { type LogPlace, logFile, newestGeneration, publish, removeLog } from "./place.ts";
import { type Change, valueSum } from "./record.ts";
import { writePart } from "./scan.ts";

export interface RecordLogOptions extends LogPlace {
  readonly log: Log;
  /** Without it there is no limit. */
  readonly cap?: Cap;
  /** Garbage up to so many bytes is left in the file. */
  readonly minGarbageBytes?: number;
  /** The file was there and is gone, with everything in it. */
  readonly onLost?: () => void;
}

/** Values to put in the place of others if these are as expected. */
export interface Swap {
  /** What must be there, and is taken out unless it is also put; null: nothing may be there. */
  readonly expected: Changes;
  readonly puts: ReadonlyMap<string, Uint8Array>;
}

/** What became of a log so far. */
export interface LogCounters {
  /** Values that had to go because of the cap. */
  readonly dropped: number;
  /** Bytes of the file that could not be read as records. */
  readonly damagedBytes: number;
}

/** Another agent may replace the file just as we open or write it; even of several that do nothing else, not so often. */
const maxTries = 50;

/** The file is as good as before. */
const noSpace = new Set(["ENOSPC", "EDQUOT"]);

/** Small logs are not rewritten for every few kilobytes. */
const defaultMinGarbageBytes = 256 * 1024;

/**
 * A map of keys to bytes in a file: changes are appended, the last one of a key counts, and memory holds only where the
 * values stand. Several processes may use one at a time, on a local filesystem: what one has written the others see.
 *
 * What was acknowledged survives `kill -9`; a power loss takes at most what came after the last `sync`, and never more
 * than the records it cut. A torn or garbled record is passed over and the next good one is found; the file is only ever
 * appended to, or replaced whole: never cut, since another process may just be writing there. It is replaced, without
 * what no longer counts, when that is more than what does.
 *
 * Replacing: a record seals the file, so that whoever writes behind it knows that it does not count; everything before
 * the seal goes into the next generation, whose name only one process can claim; whoever finds a sealed file without
 * successor makes one.
 *
 * All calls reject with STORE_UNAVAILABLE when the file cannot be read or written.
 */
export class RecordLog {
  readonly #options: RecordLogOptions;
  #file: LogFile | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #dropped = 0;
  #damagedBytes = 0;
  /** What of that is in the generation that was opened last. */
  #looked = { generation: 0, damagedBytes: 0 };
  /** What this process itself could write only the beginning of; that was said when it happened. */
  #tornBytes = 0;
  #said = false;
  #unsynced = false;
  /** The size from which on replacing is tried again after it failed. */
  #replaceFromBytes = 0;

  constructor(options: RecordLogOptions) {
    this.#options = options;
  }

  counters(): LogCounters {
    return { dropped: this.#dropped, damagedBytes: this.#damagedBytes };
  }

  /** Values in the order asked, null where there is none. */
  read(keys: readonly string[]): Promise<readonly (Buffer | null)[]> {
    return this.#turn(async () => {
      const file = await this.#current();
      if (file === null || file.form.is === "foreign") return keys.map(() => null);
      const wanted = new Set(keys);
      const values = await file.read(
        [...wanted].flatMap((key) => {
          const entry = file.entries.get(key);
          return entry === undefined ? [] : [[key, entry] as const];
        }),
      );
      return keys.map((key) => values.get(key) ?? null);
    });
  }

  /** The keys that have a value, those written longest ago first. */
  keys(): Promise<readonly string[]> {
    return this.#turn(async () => {
      const file = await this.#current();
      return file === null ? [] : file.entries.all().map(([key]) => key);
    });
  }

  /** Makes all these changes or none. */
  write(changes: Changes): Promise<void> {
    return this.#turn(async () => {
      await this.#commit((file) => {
        const steps = toSteps(file.entries, changes);
        return steps.length === 0 ? [] : this.#capped(file, changes, steps);
      });
    });
  }

  /** Gives a key a value unless it has one; says whether it did. */
  add(key: string, value: Uint8Array): Promise<boolean> {
    return this.swap({ expected: new Map([[key, null]]), puts: new Map([[key, value]]) });
  }

  /** Puts values in the place of others, at once and whole; false, and nothing is changed, unless all is as expected. */
  swap({ expected, puts }: Swap): Promise<boolean> {
    const guards = [...expected].map(([key, value]): Change & { kind: "guard" } => ({
      kind: "guard",
      key,
      sum: value === null ? null : valueSum(key, value),
    }));
    const changes = new Map<string, Uint8Array | null>(puts);
    for (const [key, value] of expected)
      if (value !== null && !puts.has(key)) changes.set(key, null);
    return this.#turn(() =>
      this.#commit((file) => {
        const holds = guards.every(({ key, sum }) => (file.entries.get(key)?.sum ?? null) === sum);
        if (!holds) return null;
        return [...guards, ...this.#capped(file, changes, toSteps(file.entries, changes))];
      }),
    );
  }

  /** Has everything that was written on disk, so that it survives a power loss. */
  sync(): Promise<void> {
    return this.#turn(() => this.#sync());
  }

  /** Takes the file away; whoever writes begins a new one. */
  remove(): Promise<void> {
    return this.#turn(async () => {
      await this.#letGo();
      await removeLog(this.#options);
    });
  }

  /** Has everything on disk and lets go of the file; whoever goes on opens it again. */
  close(): Promise<void> {
    return this.#turn(async () => {
      try {
        await this.#sync();
      } finally {
        await this.#letGo();
      }
    });
  }

  /** One thing after another. */
  #turn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#queue.then(async () => {
      try {
        return await work();
      } catch (cause) {
        if (cause instanceof AgentError) throw cause;
        // It may be of no use any more, and the next call opens it anew; the first error is the one to tell.
        if (!noSpace.has(codeOf(cause) ?? "")) await this.#letGo().catch(() => undefined);
        const message = `${this.#options.name}: ${errorText(cause)}`;
        throw new AgentError("STORE_UNAVAILABLE", message, { cause });
      }
    });
    // Whoever asked is told; the next turn comes all the same.
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** Writes what `make` says of the file as it is; again when the file was replaced meanwhile. Null: not at all. */
  async #commit(make: (file: LogFile) => readonly Change[] | null): Promise<boolean> {
    for (let tries = 0; tries < maxTries; tries++) {
      const file = await this.#writable();
      const steps = make(file);
      if (steps === null) return false;
      if (steps.length > 0) this.#unsynced = true;
      if (steps.length === 0 || (await file.append(steps))) {
        await this.#tidy(file);
        return true;
      }
    }
    throw new AgentError("STORE_UNAVAILABLE", `${this.#options.name} changes all the time`);
  }

  /** The steps with those that make room for them. */
  #capped(file: LogFile, changes: Changes, steps: readonly Change[]): readonly Change[] {
    const { cap } = this.#options;
    if (cap === undefined) return steps;
    const gone = new Set(toDrop(file.entries, changes, cap));
    if (gone.size === 0) return steps;
    this.#dropped += gone.size;
    const kept = steps.filter((step) => step.kind !== "put" || !gone.has(step.key));
    const known = [...gone].filter((key) => file.entries.get(key) !== undefined);
    return [...kept, ...known.map((key) => ({ kind: "delete", key }) as const)];
  }

  /** The newest generation as it is now; null: there is none. */
  async #current(): Promise<LogFile | null> {
    const known = this.#file;
    if (known !== null && (await known.catchUp())) {
      const replaced =
        known.entries.sealed && (await newestGeneration(this.#options)) !== known.generation;
      if (!replaced) return known;
    }
    await this.#letGo();
    this.#file = await this.#open();
    if (known !== null && this.#file === null) this.#options.onLost?.();
    return this.#file;
  }

  async #letGo(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    this.#tornBytes += file?.tornBytes ?? 0;
    await file?.close();
  }

  async #sync(): Promise<void> {
    if (!this.#unsynced) return;
    await (await this.#current())?.sync();
    this.#unsynced = false;
  }

  async #open(): Promise<LogFile | null> {
    for (let tries = 0; tries < maxTries; tries++) {
      const generation = await newestGeneration(this.#options);
      if (generation === null) return null;
      try {
        const file = await LogFile.open(logFile(this.#options, generation), generation);
        this.#look(file);
        return file;
      } catch (cause) {
        // It was replaced between the look and the opening.
        if (codeOf(cause) !== "ENOENT") throw cause;
      }
    }
    return null;
  }

  /** Counts what cannot be read of a file, and says so once. */
  #look({ form, path, generation, damagedBytes: allBytes }: LogFile): void {
    if (this.#looked.generation !== generation) this.#tornBytes = 0;
    const damagedBytes = Math.max(0, allBytes - this.#tornBytes);
    const counted = this.#looked.generation === generation ? this.#looked.damagedBytes : 0;
    this.#damagedBytes += Math.max(0, damagedBytes - counted);
    this.#looked = { generation, damagedBytes };
    if (this.#said || (form.is === "good" && damagedBytes === 0)) return;
    this.#said = true;
    const { log } = this.#options;
    if (form.is === "foreign") log.warn("stored file left alone", { file: path, cause: form.why });
    else
      log.warn("stored file damaged; the rest of it counts", { file: path, bytes: damagedBytes });
  }

  /** A file that takes records. */
  async #writable(): Promise<LogFile> {
    for (let tries = 0; tries < maxTries; tries++) {
      const file = await this.#current();
      if (file === null) await publish(this.#options, 1, (made) => writePart(made, header, 0));
      else if (file.form.is === "foreign")
        throw new AgentError("STORE_UNAVAILABLE", `${file.path} is left alone: ${file.form.why}`);
      else if (file.refusal !== null) {
        // It may have become writable since it was opened.
        await this.#letGo();
        const again = await this.#current();
        if (again !== null && again.refusal !== null) throw again.refusal;
      } else if (file.entries.sealed || file.form.is === "garbled") await this.#replace(file);
      else return file;
    }
    throw new AgentError("STORE_UNAVAILABLE", `${this.#options.name} changes all the time`);
  }

  /** Replaces the file when most of it is garbage. What is written is written, also when that fails. */
  async #tidy(file: LogFile): Promise<void> {
    const min = this.#options.minGarbageBytes ?? defaultMinGarbageBytes;
    const { garbageBytes, sizeBytes, entries } = file;
    if (garbageBytes < min || garbageBytes <= entries.livingBytes) return;
    if (sizeBytes < this.#replaceFromBytes) return;
    try {
      await this.#replace(file);
      this.#replaceFromBytes = 0;
    } catch (cause) {
      this.#replaceFromBytes = sizeBytes + min;
      this.#options.log.debug("stored file not made smaller", {
        file: file.path,
        cause: errorText(cause),
      });
    }
  }

  async #replace(file: LogFile): Promise<void> {
    await publish(this.#options, file.generation + 1, async (made) => {
      const copied = file.entries.changes;
      await file.copyTo(made);
      // Not before there was room for the copy: a sealed file takes no more records.
      if (!file.entries.sealed) await file.append([{ kind: "seal" }]);
      if (file.entries.changes !== copied) await file.copyTo(made);
    });
    await this.#letGo();
  }
}
