import { isRecord } from "./support.ts";

type Schema = Record<string, unknown>;

/** A fault that was planted: a key nobody knows, or a value of the wrong type at a place. */
export interface Planted {
  readonly at: string;
  readonly unknownKey: string | null;
}

function asSchema(value: unknown): Schema {
  if (!isRecord(value)) throw new Error("expected a schema");
  return value;
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** Values of which at least one has a type that a schema does not take. */
const candidates: readonly (readonly [string, unknown])[] = [
  ["string", "no such word?!"],
  ["number", 1e9 + 0.5],
  ["array", [["list"]]],
  ["object", { some: "thing" }],
];

function wrongValue(schema: Schema): unknown {
  const types = [schema["type"] ?? []].flat() as string[];
  const found = candidates.find(
    ([type]) =>
      (type === "string" && schema["enum"] !== undefined) ||
      (!types.includes(type) && !(type === "number" && types.includes("integer"))),
  );
  if (found === undefined) throw new Error(`no wrong value for ${JSON.stringify(schema)}`);
  return found[1];
}

/** Plants every fault that values can have, once for each place the schema knows. */
export class Planter {
  readonly planted: Planted[] = [];
  readonly #definitions: Schema;

  constructor(root: Schema) {
    this.#definitions = asSchema(root["definitions"]);
  }

  /** A value in which everything is wrong; undefined: helm itself takes care of what stands there. */
  broken(given: Schema, at: string): unknown {
    const schema = this.#resolved(given);
    const types = [schema["type"]].flat();
    if (isRecord(schema["properties"]) && schema["additionalProperties"] === false)
      return this.#brokenObject(schema, at);
    if (types.includes("array") && schema["items"] !== undefined)
      return this.#brokenItems(this.#resolved(asSchema(schema["items"])), at);
    if (isRecord(schema["additionalProperties"]))
      return { key: this.broken(schema["additionalProperties"], `${at}/key`) };
    if (schema["properties"] !== undefined) return this.#brokenObject(schema, at);
    // helm drops a text that stands where the defaults have a map, with a warning.
    if (types.length === 1 && types[0] === "object" && !/\/\d+(\/|$)/.test(at)) return undefined;
    this.planted.push({ at, unknownKey: null });
    return wrongValue(schema);
  }

  #brokenObject(schema: Schema, at: string): Schema {
    const members = Object.entries(asSchema(schema["properties"])).map(([key, member]) => [
      key,
      this.broken(asSchema(member), `${at}/${key}`),
    ]);
    const whole = Object.fromEntries(members) as Schema; // proof: from entries
    if (schema["additionalProperties"] !== false) return whole;
    const unknownKey = `misspelt${this.planted.length}`;
    this.planted.push({ at, unknownKey });
    return { ...whole, [unknownKey]: 1 };
  }

  /** One item; of channels one for every type. */
  #brokenItems(items: Schema, at: string): unknown[] {
    const branches = asList(items["allOf"])
      .map(asSchema)
      .filter((branch) => "if" in branch);
    if (branches.length === 0) return [this.broken(items, `${at}/0`)];
    return branches.map((branch, index) => {
      const whole = asSchema(branch["then"]);
      const { type, ...properties } = asSchema(whole["properties"]);
      const of = asSchema(asSchema(asSchema(branch["if"])["properties"])["type"])["const"];
      const item = this.broken({ ...whole, properties }, `${at}/${index}`);
      return { ...asSchema(item), ...(type === undefined ? {} : { type: of }) };
    });
  }

  #resolved(schema: Schema): Schema {
    const [one] = asList(schema["allOf"]);
    if (isRecord(one) && "$ref" in one) return this.#resolved(one);
    const { $ref } = schema;
    if (typeof $ref !== "string") return schema;
    return asSchema(this.#definitions[$ref.replace("#/definitions/", "")]);
  }
}
