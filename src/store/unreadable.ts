import type { Log } from "../core/ports.ts";

/** A place in the store. */
export interface BlockPlace {
  readonly node: string;
  readonly day: number;
  /** A block's name, or what else of the day. */
  readonly block: string;
}

/** Counts stored blocks that cannot be read, each once, and says so once for a node and day. */
export interface Unreadable {
  readonly count: number;
  note(place: BlockPlace, cause: unknown): void;
}

/** Places remembered so as not to be counted again; more than a week of one node. */
const rememberedPlaces = 2_000;

export function createUnreadable(log: Log): Unreadable {
  const seen = new Set<string>();
  let count = 0;
  const isNew = (place: string): boolean => {
    if (seen.has(place)) return false;
    const [oldest] = seen;
    if (seen.size >= rememberedPlaces && oldest !== undefined) seen.delete(oldest);
    seen.add(place);
    return true;
  };
  return {
    get count() {
      return count;
    },
    note: ({ node, day, block }, cause) => {
      if (!isNew(`${node} ${day} ${block}`)) return;
      count++;
      if (isNew(`${node} ${day}`)) log.warn("stored block unreadable", { node, day, block, cause });
    },
  };
}
