import { setImmediate } from "node:timers/promises";
import { AgentError } from "../../core/errors.ts";
import type { Backend } from "../contract.ts";
import { blockHeader, blockVersion } from "../format/block-codec.ts";
import { type DaySchemas, type SchemaBook, schemaNumbered } from "../schema-book.ts";
import { blockName, dayOf, otherForms } from "../slots.ts";
import type { Unreadable } from "../unreadable.ts";
import { mergeEncoded, type StoredBlock } from "./block.ts";
import { type Held, rowsOf } from "./head.ts";

interface MergeDeps {
  readonly backend: Backend;
  readonly node: string;
  readonly book: SchemaBook;
  readonly unreadable: Unreadable;
}

/** A day has one schema, or a few; whether they are still there is asked along with a block. */
const askedSchemas = 8;

function isText(bytes: Uint8Array | null, text: string): boolean {
  return bytes !== null && Buffer.from(text).equals(bytes);
}

/** Joins the rows the backend has of a time with ours; what cannot be read is noted. */
export function createMerge({ backend, node, book, unreadable }: MergeDeps) {
  const mergeOne = (held: Held, stored: StoredBlock, schemas: DaySchemas): void => {
    const place = { node, day: dayOf(stored.startMs), block: blockName(stored) };
    try {
      const { version, schema } = blockHeader(stored.blob);
      if (version > blockVersion) {
        held.blocked ||= place.block === blockName(held);
        unreadable.note(place, `version ${version} is newer than this agent; left alone`);
      } else mergeEncoded(rowsOf(held), stored, schemaNumbered(schemas, schema));
    } catch (cause) {
      if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
      unreadable.note(place, cause);
    }
  };
  /** The first write of a block by this process: also after it was dropped from memory. */
  return async (day: number, fresh: readonly Held[]): Promise<void> => {
    if (fresh.length === 0) return;
    // An earlier process may have kept the same time in blocks of the other length.
    const places = fresh.flatMap((held) =>
      [held, ...otherForms(held)].map((span) => ({ held, span })),
    );
    const names = places.map(({ span }) => blockName(span));
    const known = await book.of(node, day);
    const texts = [...known.texts].slice(0, askedSchemas);
    const asked = [...names, ...texts.map(([number]) => `s${number}`)];
    const [values = []] = await backend.read(node, [{ part: "blocks", day, names: asked }]);
    const blobs = values.slice(0, names.length);
    const isAsKnown =
      texts.length > 0 &&
      texts.every(([, text], index) => isText(values[names.length + index] ?? null, text));
    const schemas =
      isAsKnown && blobs.every((blob) => blob === null) ? known : await book.of(node, day, true);
    for (const [index, { held, span }] of places.entries()) {
      const blob = blobs[index] ?? null;
      if (blob === null) continue;
      mergeOne(held, { ...span, blob }, schemas);
      await setImmediate();
    }
    for (const held of fresh) held.merged = true;
  };
}
