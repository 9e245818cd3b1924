import type { Entries } from "./entries.ts";
import { type Change, recordLength } from "./record.ts";

/** How many bytes may live in a log, and what goes first when more come. */
export interface Cap {
  readonly maxBytes: number;
  /** The lower goes first; without it, what was written longest ago. */
  readonly order?: (a: string, b: string) => number;
}

/** What is to be written, by key; null takes a key out. */
export type Changes = ReadonlyMap<string, Uint8Array | null>;

/** The steps for changes that make a difference. */
export function toSteps(entries: Entries, changes: Changes): readonly Change[] {
  return [...changes].flatMap(([key, value]): readonly Change[] => {
    if (value !== null) return [{ kind: "put", key, value }];
    return entries.get(key) === undefined ? [] : [{ kind: "delete", key }];
  });
}

/** What has to go for changes to fit under a cap; it may be among them. */
export function toDrop(entries: Entries, changes: Changes, cap: Cap): readonly string[] {
  const added = [...changes].reduce(
    (sum, [key, value]) => (value === null ? sum : sum + recordLength(key, value.length)),
    0,
  );
  if (entries.livingBytes + added <= cap.maxBytes) return [];
  const sizes = new Map(
    entries
      .all()
      .filter(([key]) => !changes.has(key))
      .map(([key, { bytes }]) => [key, bytes]),
  );
  for (const [key, value] of changes)
    if (value !== null) sizes.set(key, recordLength(key, value.length));
  let excess = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0) - cap.maxBytes;
  if (excess <= 0) return [];
  const keys = [...sizes.keys()];
  const dropped: string[] = [];
  for (const key of cap.order === undefined ? keys : keys.sort(cap.order)) {
    if (excess <= 0) break;
    excess -= sizes.get(key) ?? 0;
    dropped.push(key);
  }
  return dropped;
}
