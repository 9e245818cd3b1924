import * as v from "valibot";
import type { Log } from "../core/ports.ts";

/** Reads JSON texts that anybody may have written; what is none of the expected form is null, and said once. */
export type JsonReader = <S extends v.GenericSchema>(
  schema: S,
  text: string,
  what: string,
) => v.InferOutput<S> | null;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Undefined fits no schema: it is reported like any other wrong form.
    return undefined;
  }
}

export function createJsonReader(log: Log): JsonReader {
  const said = new Set<string>();
  return (schema, text, what) => {
    const result = v.safeParse(schema, parseJson(text));
    if (result.success) return result.output;
    if (!said.has(what)) log.warn("stored entry unreadable", { what });
    said.add(what);
    return null;
  };
}
