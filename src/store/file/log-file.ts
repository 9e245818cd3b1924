import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { AgentError, codeOf } from "../../core/errors.ts";
import { Entries, type Entry } from "./entries.ts";
import {
  bodySumOf,
  type Change,
  encodeRecord,
  type RecordFound,
  stepsOf,
  valueSum,
} from "./record.ts";
import { readPart, scan, writePart } from "./scan.ts";

/** A file begins with this and one byte for the version of its format. */
const magic = "TVPCLOG";
const formatVersion = 1;
/** How a file begins. */
export const header: Buffer = Buffer.from([...Buffer.from(magic), formatVersion]);

/** Values that lie nearer than this are read in one go, up to so much at once. */
const gapBytes = 4_096;
const groupBytes = 1024 * 1024;

/** What the beginning of a file says of the rest. */
export type Form =
  | { readonly is: "good" }
  /** Not readable; records behind it are. */
  | { readonly is: "garbled" }
  /** Nothing of it may be touched. */
  | { readonly is: "foreign"; readonly why: string };

/** A value wanted from a file, and where it stands. */
export type Wanted = readonly [key: string, entry: Entry];

async function openHandle(file: string): Promise<{ handle: FileHandle; refusal: unknown }> {
  try {
    return {
      handle: await open(file, constants.O_RDWR | constants.O_APPEND),
      refusal: null,
    };
  } catch (cause) {
    if (!["EROFS", "EACCES", "EPERM"].includes(codeOf(cause) ?? "")) throw cause;
    return { handle: await open(file, constants.O_RDONLY), refusal: cause };
  }
}

/** Neighbours in the file, so that they are read together. */
function groupsOf(wanted: readonly Wanted[]): readonly (readonly Wanted[])[] {
  const groups: Wanted[][] = [];
  let first = 0;
  let end = -Infinity;
  for (const one of [...wanted].sort(([, a], [, b]) => a.at - b.at)) {
    const { at, valueBytes } = one[1];
    const fits = at - end <= gapBytes && at + valueBytes - first <= groupBytes;
    if (fits) groups.at(-1)?.push(one);
    else {
      groups.push([one]);
      first = at;
    }
    end = at + valueBytes;
  }
  return groups;
}

/** One open generation of a log. Not for two calls at once. */
export class LogFile {
  readonly path: string;
  readonly generation: number;
  /** Why it cannot be written; null: it can. */
  readonly refusal: unknown;
  readonly #handle: FileHandle;
  #entries = new Entries();
  #form: Form = { is: "good" };
  #goodEnd = 0;
  #size = 0;
  #damagedBytes = 0;
  #tornBytes = 0;

  private constructor(
    path: string,
    generation: number,
    { handle, refusal }: { handle: FileHandle; refusal: unknown },
  ) {
    this.path = path;
    this.generation = generation;
    this.#handle = handle;
    this.refusal = refusal;
  }

  /** Opens and reads a file; for reading only where it cannot be written. Rejects with ENOENT when it is not there. */
  static async open(path: string, generation: number): Promise<LogFile> {
    const file = new LogFile(path, generation, await openHandle(path));
    try {
      await file.#readAll();
      return file;
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  get entries(): Entries {
    return this.#entries;
  }

  get form(): Form {
    return this.#form;
  }

  /** Bytes of the file that are no living key or value. */
  get garbageBytes(): number {
    return this.#size - this.#entries.livingBytes;
  }

  get sizeBytes(): number {
    return this.#size;
  }

  /** Bytes that are no record and no header; what comes after the last record may still be on its way. */
  get damagedBytes(): number {
    return this.#damagedBytes + this.#size - this.#goodEnd;
  }

  /** Of these, what is the beginning of a record of ours for which there was no space. */
  get tornBytes(): number {
    return this.#tornBytes;
  }

  /** Takes in what another process has written. False: the file is no longer there. */
  async catchUp(): Promise<boolean> {
    return (await this.#catchUp(null)) !== "gone";
  }

  /** Writes a record at the end. True: it counts. False: its guards do not hold, or the file is sealed or gone. */
  async append(changes: readonly Change[]): Promise<boolean> {
    const record = encodeRecord(changes);
    const { bytesWritten } = await this.#handle.write(record);
    if (bytesWritten < record.length) {
      this.#tornBytes += bytesWritten;
      throw new AgentError("STORE_UNAVAILABLE", "only a part could be written: no space left");
    }
    return (await this.#catchUp(record)) === "applied";
  }

  /** The values, null where the disk has damaged one. */
  async read(wanted: readonly Wanted[]): Promise<ReadonlyMap<string, Buffer>> {
    const values = new Map<string, Buffer>();
    for (const group of groupsOf(wanted)) {
      const from = group[0]?.[1].at ?? 0;
      const end = group.reduce((far, [, { at, valueBytes }]) => Math.max(far, at + valueBytes), 0);
      const bytes = await readPart(this.#handle, from, end - from);
      for (const [key, { at, valueBytes, sum }] of group) {
        const value = bytes.subarray(at - from, at - from + valueBytes);
        if (valueSum(key, value) === sum) values.set(key, value);
      }
    }
    return values;
  }

  /** Writes everything that lives into a new file, a record a key. */
  async copyTo(handle: FileHandle): Promise<void> {
    await handle.truncate();
    await writePart(handle, header, 0);
    let at = header.length;
    for (const group of groupsOf(this.#entries.all())) {
      const values = await this.read(group);
      const puts = [...values].map(([key, value]) => encodeRecord([{ kind: "put", key, value }]));
      const records = Buffer.concat(puts);
      await writePart(handle, records, at);
      at += records.length;
    }
  }

  /** Has what was written on disk. */
  async sync(): Promise<void> {
    await this.#handle.sync();
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #readAll(): Promise<void> {
    this.#entries = new Entries();
    this.#size = 0;
    const { size } = await this.#handle.stat();
    const start = await readPart(this.#handle, 0, header.length);
    const hasMagic = start.toString("latin1", 0, magic.length) === magic;
    const version = start[magic.length] ?? 0;
    this.#goodEnd = hasMagic ? header.length : 0;
    if (hasMagic && version > formatVersion) {
      const why = `its format ${version} is newer than this agent's ${formatVersion}`;
      this.#form = { is: "foreign", why };
      this.#size = size;
      return;
    }
    await this.#scanTo(size);
    if (start.equals(header)) this.#form = { is: "good" };
    else if (this.#entries.size > 0 || size <= header.length) this.#form = { is: "garbled" };
    else this.#form = { is: "foreign", why: "it holds something else" };
  }

  /** Takes in records up to a place; says whether one with this checksum counts. */
  async #scanTo(size: number, bodySum: number | null = null): Promise<boolean> {
    if (size === this.#size) return false;
    let applied = false;
    const range = { from: this.#goodEnd, to: size };
    const { goodEnd, skippedBytes } = await scan(this.#handle, range, (bytes, found, base) => {
      const counts = this.#entries.apply(stepsOf(bytes, found), base);
      applied ||= counts && found.bodySum === bodySum;
    });
    this.#goodEnd = goodEnd;
    this.#damagedBytes += skippedBytes;
    this.#size = size;
    return applied;
  }

  async #catchUp(own: Buffer | null): Promise<"gone" | "applied" | "read"> {
    const { size, nlink } = await this.#handle.stat();
    if (nlink === 0) return "gone";
    if (this.#form.is === "foreign") return "read";
    if (size < this.#size) {
      // Somebody has cut it: nothing known of it holds.
      await this.#readAll();
      return "read";
    }
    if (own === null) return (await this.#scanTo(size)) ? "applied" : "read";
    const expected = this.#goodEnd === this.#size && size === this.#size + own.length;
    const applied = expected ? this.#takeOwn(own) : await this.#scanTo(size, bodySumOf(own));
    return applied ? "applied" : "read";
  }

  /** Takes in what this process has just written: nobody else wrote since, so it stands where it was expected. */
  #takeOwn(record: Buffer): boolean {
    const found: RecordFound = { from: 0, to: record.length, bodySum: bodySumOf(record) };
    const counts = this.#entries.apply(stepsOf(record, found), this.#size);
    this.#size += record.length;
    this.#goodEnd = this.#size;
    return counts;
  }
}
