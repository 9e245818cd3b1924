import * as v from "valibot";
import { parseWith } from "../base/parse.ts";
import { unknownKey } from "../base/text.ts";
import type { Fault } from "../core/errors.ts";
import { splitList } from "../core/series.ts";
import { invalid } from "./problem.ts";

/**
 * Reads a query string against a schema of texts; names in `lists` may be repeated and hold commas. Throws
 * INPUT_INVALID with every fault: unknown names with the nearest known one, names given twice, wrong values.
 */
export function readQuery<const E extends v.ObjectEntries>(
  entries: E,
  query: URLSearchParams,
  lists: readonly string[] = [],
): v.InferOutput<v.ObjectSchema<E, undefined>> {
  const faults: Fault[] = [];
  const input: Record<string, string | string[]> = {};
  for (const name of new Set(query.keys())) {
    const given = query.getAll(name);
    const [first = ""] = given;
    if (!Object.hasOwn(entries, name))
      faults.push({ path: name, message: unknownKey(name, Object.keys(entries)) });
    else if (lists.includes(name)) input[name] = given.flatMap(splitList);
    else if (given.length > 1) faults.push({ path: name, message: "given more than once" });
    else input[name] = first;
  }
  const parsed = parseWith(v.object(entries), input);
  if (parsed.ok && faults.length === 0) return parsed.value;
  throw invalid([...faults, ...(parsed.ok ? [] : parsed.faults)]);
}

/** For routes that take no query at all: any name is a mistake worth hearing of. */
export function noQuery(query: URLSearchParams): void {
  const faults = [...new Set(query.keys())].map((path) => ({
    path,
    message: "unknown key; this route takes none",
  }));
  if (faults.length > 0) throw invalid(faults);
}
