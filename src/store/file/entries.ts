import { guardSum, recordLength, type Step, stepKinds, valueSum } from "./record.ts";

/** Where the value of a key stands in the file. */
export interface Entry {
  readonly at: number;
  readonly valueBytes: number;
  /** Checksum of key and value. */
  readonly sum: number;
  /** What key and value take as a record of their own. */
  readonly bytes: number;
}

/** Where the values of a file stand by key, oldest written first; the values stay on disk. */
export class Entries {
  readonly #entries = new Map<string, Entry>();
  #livingBytes = 0;
  #sealed = false;
  #changes = 0;

  /** What living keys and values take. */
  get livingBytes(): number {
    return this.#livingBytes;
  }

  /** Whether the file is being replaced: records after that do not count. */
  get sealed(): boolean {
    return this.#sealed;
  }

  /** Another number after each change. */
  get changes(): number {
    return this.#changes;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  all(): readonly (readonly [key: string, Entry])[] {
    return [...this.#entries];
  }

  /** Makes the changes of a record; `base` is where its buffer begins in the file. False: it does not count. */
  apply(steps: readonly Step[], base: number): boolean {
    if (this.#sealed || !this.#guardsHold(steps)) return false;
    for (const { kind, key, value, valueFrom } of steps)
      if (kind === stepKinds.put)
        this.#set(key, {
          at: base + valueFrom,
          valueBytes: value.length,
          sum: valueSum(key, value),
          bytes: recordLength(key, value.length),
        });
      else if (kind === stepKinds.delete) this.#remove(key);
      else if (kind === stepKinds.seal) this.#sealed = true;
    return true;
  }

  #guardsHold(steps: readonly Step[]): boolean {
    return steps.every(
      ({ kind, key, value }) =>
        kind !== stepKinds.guard || guardSum(value) === (this.#entries.get(key)?.sum ?? null),
    );
  }

  #set(key: string, entry: Entry): void {
    this.#remove(key);
    this.#entries.set(key, entry);
    this.#livingBytes += entry.bytes;
    this.#changes++;
  }

  #remove(key: string): void {
    const known = this.#entries.get(key);
    if (known === undefined) return;
    this.#entries.delete(key);
    this.#livingBytes -= known.bytes;
    this.#changes++;
  }
}
