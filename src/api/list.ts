import * as v from "valibot";
import { invalid } from "./problem.ts";
import { jsonReply, type Reply } from "./reply.ts";

/** Bounds of `limit`: a page a person reads, and one a script copes with. */
const defaultLimit = 100;
const maxLimit = 1_000;

/** The two query parameters of every list. */
export const listQuery = {
  limit: v.optional(
    v.pipe(
      v.string(),
      v.regex(/^\d{1,6}$/, `expected a whole number from 1 to ${maxLimit}`),
      v.transform(Number),
      v.minValue(1, "must be at least 1"),
      v.maxValue(maxLimit, `must be at most ${maxLimit}`),
    ),
    String(defaultLimit),
  ),
  cursor: v.optional(v.string()),
};

/** Where a page begins and how long it may be. */
export interface ListQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

const cursorContent = v.strictTuple([v.string(), v.string()]);

function writeCursor(list: string, key: string): string {
  return Buffer.from(JSON.stringify([list, key])).toString("base64url");
}

function readCursor(list: string, cursor: string): string {
  const bad = invalid([{ path: "cursor", message: "not a cursor this list gave" }]);
  let content: unknown;
  try {
    content = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
  } catch {
    throw bad;
  }
  const parsed = v.safeParse(cursorContent, content);
  if (!parsed.success || parsed.output[0] !== list) throw bad;
  return parsed.output[1];
}

/** A sort key that puts the newest first, and those of one millisecond by id. */
export function newestFirst(ms: number, id: string): string {
  // 1e15 ms is the year 33658; 16 digits keep the order of the numbers as texts.
  return `${String(Math.max(0, 1e15 - ms)).padStart(16, "0")} ${id}`;
}

/**
 * One page of a list, ordered by a unique key. The cursor holds the last key, not a position, so that nothing is
 * skipped or repeated when the list changes between two pages.
 */
export function listReply<T>(
  list: string,
  all: readonly T[],
  query: ListQuery,
  part: { readonly key: (item: T) => string; readonly show: (item: T) => unknown },
): Reply {
  const after = query.cursor === undefined ? "" : readCursor(list, query.cursor);
  const rest = all
    .map((item) => ({ key: part.key(item), item }))
    .filter(({ key }) => key > after)
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const items = rest.slice(0, query.limit);
  const last = items.at(-1);
  return jsonReply({
    items: items.map(({ item }) => part.show(item)),
    limit: query.limit,
    cursor: last === undefined || items.length === rest.length ? null : writeCursor(list, last.key),
  });
}
