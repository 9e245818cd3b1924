import { AgentError } from "../../core/errors.ts";
import type { Log } from "../../core/ports.ts";
import type { Backend, BlockSchema } from "../contract.ts";
import type { SchemaBook } from "../schema-book.ts";
import { chooseSchema, formatSchema, type NumberedSchema } from "../format/schemas.ts";

/** Gives the blocks of this node their schemas. */
export interface SchemaWriter {
  /** The schema to write a block with, added when the day has none that fits; null: all numbers are taken. */
  forBlock(day: number, wanted: BlockSchema): Promise<NumberedSchema | null>;
}

/** Somebody else takes a number each time only while many writers start at once. */
const maxRaces = 8;

interface SchemaWriterDeps {
  readonly backend: Backend;
  /** `cluster/name` of this node. */
  readonly node: string;
  readonly book: SchemaBook;
  readonly log: Log;
  readonly expireAt: (day: number) => number;
}

export function createSchemaWriter(deps: SchemaWriterDeps): SchemaWriter {
  const { backend, node, book, log, expireAt } = deps;
  const add = async (day: number, { number, schema }: NumberedSchema): Promise<boolean> => {
    const json = formatSchema(schema);
    const added = await backend.addSchema(node, day, { number, json, expireAt: expireAt(day) });
    book.forget(node);
    return added;
  };
  let warned = false;
  const warnFull = (day: number): void => {
    if (!warned) log.warn("series dropped: the day has no schema number left", { node, day });
    warned = true;
  };
  return {
    forBlock: async (day, wanted) => {
      for (let races = 0; races < maxRaces; races++) {
        const schemas = await book.of(node, day);
        const choice = chooseSchema(schemas.known, schemas.taken, wanted);
        if (choice.kind === "full") {
          warnFull(day);
          return choice.nearest;
        }
        if (choice.kind === "known" || (await add(day, choice))) return choice;
      }
      throw new AgentError("STORE_UNAVAILABLE", "no schema number could be taken");
    },
  };
}
