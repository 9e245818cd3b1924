import { AgentError } from "../core/errors.ts";
import type { Backend, BlockSchema } from "./contract.ts";
import { parseSchema } from "./format/schemas.ts";

/** The schemas of a node and day, as read from the backend. */
export interface DaySchemas {
  /** As they are stored. */
  readonly texts: ReadonlyMap<number, string>;
  readonly known: ReadonlyMap<number, BlockSchema>;
  /** Numbers that are used, also by schemas that cannot be read. */
  readonly taken: ReadonlySet<number>;
}

/** Reads and remembers schemas. */
export interface SchemaBook {
  /** The schemas of a day; `fresh`: as they are now, not as remembered. */
  of(node: string, day: number, fresh?: boolean): Promise<DaySchemas>;
  /** What is known of a node may be outdated. */
  forget(node: string): void;
}

/** Days remembered: a week of some nodes; the schemas of a day are a few kB. */
const rememberedDays = 64;

/** A schema by its number. Throws BLOCK_INVALID when the day has none of that number that can be read. */
export function schemaNumbered({ known }: DaySchemas, number: number): BlockSchema {
  const schema = known.get(number);
  if (schema === undefined) throw new AgentError("BLOCK_INVALID", `schema ${number} is not there`);
  return schema;
}

function parseAll(texts: ReadonlyMap<number, string>): DaySchemas {
  const known = new Map<number, BlockSchema>();
  for (const [number, text] of texts) {
    try {
      known.set(number, parseSchema(text));
    } catch (cause) {
      // Its number stays taken; the blocks that need it are counted as unreadable one by one.
      if (!(cause instanceof AgentError)) throw cause;
    }
  }
  return { texts, known, taken: new Set(texts.keys()) };
}

export function createSchemaBook(backend: Backend): SchemaBook {
  const remembered = new Map<string, DaySchemas>();
  return {
    of: async (node, day, fresh = false) => {
      const place = `${node} ${day}`;
      const known = fresh ? undefined : remembered.get(place);
      const schemas = known ?? parseAll(await backend.readSchemas(node, day));
      remembered.delete(place);
      remembered.set(place, schemas);
      const [oldest] = remembered.keys();
      if (remembered.size > rememberedDays && oldest !== undefined) remembered.delete(oldest);
      return schemas;
    },
    forget: (node) => {
      for (const place of remembered.keys())
        if (place.startsWith(`${node} `)) remembered.delete(place);
    },
  };
}
