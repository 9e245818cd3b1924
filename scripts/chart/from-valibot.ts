import { isDeepStrictEqual } from "node:util";
import type * as v from "valibot";
import { orNull, type JsonSchema } from "../../src/config/formats.ts";

/** What is read of a valibot schema or action; each kind has some of it. */
interface Part {
  readonly kind: string;
  readonly type: string;
  readonly pipe?: readonly Part[];
  readonly requirement?: unknown;
  readonly metadata?: { readonly schema?: JsonSchema };
  readonly entries?: Readonly<Record<string, Part>>;
  readonly item?: Part;
  readonly value?: Part;
  readonly wrapped?: Part;
  readonly options?: readonly string[];
  readonly getter?: (input: unknown) => Part;
}

/** The members of a valibot object schema, for what adds to it. */
export type Entries = v.ObjectEntries;

/** An object without unknown keys; a key that is not optional is required. */
export function closed(
  properties: Readonly<Record<string, JsonSchema>>,
  required: readonly string[] = [],
): JsonSchema {
  return {
    type: "object",
    additionalProperties: false,
    ...(required.length === 0 ? {} : { required }),
    properties,
  };
}

/** The members of an object and which of them must be there. */
export function members(entries: Entries): {
  properties: Record<string, JsonSchema>;
  required: string[];
} {
  const parts = Object.entries(entries as unknown as Readonly<Record<string, Part>>); // proof: schemas have what Part reads
  return {
    properties: Object.fromEntries(parts.map(([key, part]) => [key, schemaOf(part)])),
    required: parts.filter(([, { type }]) => type !== "optional").map(([key]) => key),
  };
}

/** Depends on the input, so it is asked what it wants of a list and of an object. */
function lazySchema(getter: (input: unknown) => Part): JsonSchema {
  const [list = {}, object = {}] = [[], {}].map((input) => schemaOf(getter(input)));
  return isDeepStrictEqual(list, object)
    ? list
    : { ...list, ...object, type: [list["type"], object["type"]] };
}

const makers: Readonly<Record<string, (part: Part) => JsonSchema>> = {
  string: () => ({ type: "string" }),
  number: () => ({ type: "number" }),
  boolean: () => ({ type: "boolean" }),
  unknown: () => ({}),
  picklist: ({ options = [] }) => ({ type: "string", enum: options }),
  array: ({ item }) => ({
    type: "array",
    ...(item === undefined ? {} : { items: schemaOf(item) }),
  }),
  record: ({ value }) => ({
    type: "object",
    ...(value === undefined ? {} : { additionalProperties: schemaOf(value) }),
  }),
  strict_object: ({ entries = {} }) => {
    const { properties, required } = members(entries as unknown as Entries); // proof: they came from such a schema
    return closed(properties, required);
  },
  optional: ({ wrapped }) => (wrapped === undefined ? {} : schemaOf(wrapped)),
  nullable: ({ wrapped }) => (wrapped === undefined ? {} : orNull(schemaOf(wrapped))),
  lazy: ({ getter }) => (getter === undefined ? {} : lazySchema(getter)),
};

function actionSchema({ type, requirement }: Part, of: JsonSchema): JsonSchema {
  const list = of["type"] === "array";
  switch (type) {
    case "regex":
      if (!(requirement instanceof RegExp) || requirement.flags.includes("i"))
        throw new Error(`no JSON Schema for the pattern ${String(requirement)}`);
      return { pattern: requirement.source };
    case "non_empty":
      return list ? { minItems: 1 } : { minLength: 1 };
    case "min_length":
      return { [list ? "minItems" : "minLength"]: requirement };
    case "max_length":
      return { [list ? "maxItems" : "maxLength"]: requirement };
    case "min_value":
      return { minimum: requirement };
    case "max_value":
      return { maximum: requirement };
    case "integer":
      return { type: "integer" };
    default:
      return {};
  }
}

function schemaOf(part: Part): JsonSchema {
  const { pipe } = part;
  if (pipe === undefined) {
    const make = makers[part.type];
    if (make === undefined) throw new Error(`no JSON Schema for a ${part.type}`);
    return make(part);
  }
  const said = pipe.find(({ type }) => type === "metadata")?.metadata?.schema;
  if (said !== undefined) return said;
  // The last schema says what comes in: those before it only look whether that can be told better.
  const at = pipe.findLastIndex(({ kind }) => kind === "schema");
  const first = pipe[at];
  const base = first === undefined ? {} : schemaOf(first);
  return pipe.slice(at + 1).reduce((of, action) => ({ ...of, ...actionSchema(action, of) }), base);
}

/** What a valibot schema takes, as JSON Schema (draft 7). Throws for what it cannot say. */
export function fromValibot(schema: v.GenericSchema): JsonSchema {
  return schemaOf(schema);
}
