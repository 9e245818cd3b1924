import { nearest } from "../base/text.ts";
import { kindOf } from "../base/parse.ts";
import { Secret } from "../base/secret.ts";

/** What a format says of an input: the typed value, or the value's fault in words that show no secret. */
export type Checked<T> = { readonly value: T } | { readonly fault: string };

/** What a value may be, in the words of JSON Schema: for the chart, whose values are checked before there is an agent. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** How one setting is read. `parse` gets what the file holds; `fromText` turns a variable's text into that first. */
export interface Format<T> {
  readonly schema: JsonSchema;
  parse(input: unknown): Checked<T>;
  fromText(text: string): unknown;
}

const asIs = (text: string): unknown => text;

/** A variable's text as the number it is, or unchanged so that `parse` refuses it. */
function numberFromText(text: string): unknown {
  return /^-?\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : text;
}

const words: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  "1": true,
  false: false,
  no: false,
  off: false,
  "0": false,
};

/** A value in a fault. A long text or an address may be a secret in the wrong place: only its kind is told. */
function shown(input: unknown): string {
  if (typeof input === "number") return String(input);
  return typeof input === "string" && input.length <= 24 && !/[/@]/.test(input)
    ? JSON.stringify(input)
    : kindOf(input);
}

/** A number within bounds; `unit` is only for the message. */
export function number(min: number, max: number, unit = ""): Format<number> {
  const expected = `a number from ${min} to ${max}${unit === "" ? "" : ` (${unit})`}`;
  return {
    schema: { type: "number", minimum: min, maximum: max },
    fromText: numberFromText,
    parse: (input) =>
      typeof input === "number" && input >= min && input <= max
        ? { value: input }
        : { fault: `expected ${expected}, got ${shown(input)}` },
  };
}

/** A whole number within bounds. */
export function integer(min: number, max: number): Format<number> {
  return {
    schema: { type: "integer", minimum: min, maximum: max },
    fromText: numberFromText,
    parse: (input) =>
      typeof input === "number" && Number.isInteger(input) && input >= min && input <= max
        ? { value: input }
        : { fault: `expected a whole number from ${min} to ${max}, got ${shown(input)}` },
  };
}

export const flag: Format<boolean> = {
  schema: { type: "boolean" },
  fromText: (text) => words[text.trim().toLowerCase()] ?? text,
  parse: (input) =>
    typeof input === "boolean"
      ? { value: input }
      : { fault: `expected true or false, got ${shown(input)}` },
};

/** True, false, or `auto`: as the surroundings suggest. */
export const autoFlag: Format<boolean | "auto"> = {
  schema: { enum: ["auto", true, false] },
  fromText: (text) => (text.trim() === "auto" ? "auto" : flag.fromText(text)),
  parse: (input) =>
    input === "auto" || typeof input === "boolean"
      ? { value: input }
      : { fault: `expected auto, true or false, got ${shown(input)}` },
};

/** A text that is not empty and, if a pattern is given, fits it. */
export function text(pattern?: { readonly is: RegExp; readonly expected: string }): Format<string> {
  return {
    schema: {
      type: "string",
      minLength: 1,
      ...(pattern === undefined ? {} : { pattern: pattern.is.source }),
    },
    fromText: asIs,
    parse: (input) => {
      if (typeof input !== "string" || input === "")
        return { fault: `expected a text, got ${shown(input)}` };
      if (pattern !== undefined && !pattern.is.test(input))
        return { fault: `expected ${pattern.expected}, got ${shown(input)}` };
      return { value: input };
    },
  };
}

/** One of some words. */
export function oneOf<const T extends string>(choices: readonly T[]): Format<T> {
  return {
    schema: { type: "string", enum: choices },
    fromText: asIs,
    parse: (input) => {
      const found = choices.find((choice) => choice === input);
      if (found !== undefined) return { value: found };
      const meant = typeof input === "string" ? nearest(input, choices) : undefined;
      const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
      return { fault: `expected one of ${choices.join(", ")}, got ${shown(input)}${hint}` };
    },
  };
}

/** An http or https URL without credentials in it; a trailing slash is dropped. */
export const httpUrl: Format<string> = {
  schema: { type: "string", pattern: "^[Hh][Tt][Tt][Pp][Ss]?://[^?#@]+$" },
  fromText: asIs,
  parse: (input) => {
    if (typeof input !== "string" || !URL.canParse(input) || !/^https?:\/\//i.test(input))
      return {
        fault: `expected a URL such as https://admin.example.com, got ${kindOf(input)} that is none`,
      };
    const url = new URL(input);
    if (url.search !== "" || url.hash !== "")
      return { fault: "expected a URL without a query; secrets go into admin.token" };
    if (url.username !== "" || url.password !== "")
      return { fault: "expected a URL without a user name and password in it; use admin.token" };
    return { value: input.replace(/\/+$/, "") };
  },
};

/** A secret text; its value never shows in a fault. */
export function secret(expected = "a text", is: RegExp = /\S/): Format<Secret> {
  return {
    schema: { type: "string", pattern: is.source },
    fromText: asIs,
    parse: (input) =>
      typeof input === "string" && is.test(input)
        ? { value: new Secret(input) }
        : {
            fault: `expected ${expected}, got ${typeof input === "string" ? "another text" : kindOf(input)}`,
          },
  };
}

/** The same, or null. */
export function orNull({ type, enum: choices, ...rest }: JsonSchema): JsonSchema {
  return {
    ...(type === undefined ? {} : { type: [type, "null"].flat() }),
    ...(Array.isArray(choices) ? { enum: [...(choices as readonly unknown[]), null] } : {}),
    ...rest,
  };
}

/** Null stands for "not set". */
export function nullable<T>(format: Format<T>): Format<T | null> {
  return {
    schema: orNull(format.schema),
    fromText: (value) => format.fromText(value),
    parse: (input) => (input === null ? { value: null } : format.parse(input)),
  };
}

/** Every one of some words at most once, in the order given; a variable separates them by commas. */
export function wordList<const T extends string>(choices: readonly T[]): Format<readonly T[]> {
  const one = oneOf(choices);
  return {
    schema: { type: "array", items: one.schema, uniqueItems: true },
    fromText: (value) => value.split(",").map((word) => word.trim()),
    parse: (input) => {
      if (!Array.isArray(input))
        return { fault: `expected a list of ${choices.join(", ")}, got ${shown(input)}` };
      const found: T[] = [];
      for (const item of input as readonly unknown[]) {
        const checked = one.parse(item);
        if ("fault" in checked) return checked;
        if (found.includes(checked.value)) return { fault: `names "${checked.value}" twice` };
        found.push(checked.value);
      }
      return { value: found };
    },
  };
}

/** Names that may be switched on and off: `{"disk": false}`. */
export function switches(known: readonly string[]): Format<Readonly<Record<string, boolean>>> {
  return {
    schema: {
      type: "object",
      additionalProperties: false,
      properties: Object.fromEntries(known.map((name) => [name, flag.schema])),
    },
    fromText: asIs,
    parse: (input) => {
      if (typeof input !== "object" || input === null || Array.isArray(input))
        return {
          fault: `expected an object such as {"${known[0] ?? "name"}": false}, got ${shown(input)}`,
        };
      const found: Record<string, boolean> = {};
      for (const [name, value] of Object.entries(input)) {
        const meant = known.includes(name) ? name : (nearest(name, known) ?? known.join(", "));
        if (meant !== name) return { fault: `knows no "${name}"; did you mean ${meant}?` };
        if (typeof value !== "boolean")
          return { fault: `expected true or false for "${name}", got ${shown(value)}` };
        found[name] = value;
      }
      return { value: found };
    },
  };
}

/** `pool=gpu,zone=a` as an object; anything else, or a name given twice, unchanged so that `parse` refuses it. */
function labelsFromText(text: string): unknown {
  const pairs = text.split(",").map((pair) => /^\s*([^=\s]+)\s*=(.*)$/s.exec(pair));
  const found = new Map(pairs.map((pair) => [pair?.[1] ?? "", pair?.[2]?.trim() ?? ""]));
  return found.has("") || found.size < pairs.length ? text : Object.fromEntries(found);
}

/** Names with their values: `{"pool": "gpu"}`; a variable writes `pool=gpu,zone=a`. */
export const labels: Format<Readonly<Record<string, string>>> = {
  schema: { type: "object", additionalProperties: { type: "string" } },
  fromText: labelsFromText,
  parse: (input) => {
    if (typeof input !== "object" || input === null || Array.isArray(input))
      return {
        fault: `expected labels such as {"pool": "gpu"} (pool=gpu,zone=a in the environment, each name once), got ${shown(input)}`,
      };
    const entries = Object.entries(input as Readonly<Record<string, unknown>>);
    const found: Record<string, string> = {};
    for (const [name, value] of entries) {
      if (name === "") return { fault: "has a label without a name" };
      if (typeof value !== "string")
        return { fault: `expected a text for "${name}", got ${shown(value)}` };
      found[name] = value;
    }
    return { value: found };
  },
};

/** Checked elsewhere, as a whole: the lists of rules and channels. */
export const opaqueList: Format<readonly unknown[]> = {
  schema: { type: "array" },
  fromText: asIs,
  parse: (input) =>
    Array.isArray(input)
      ? { value: input as readonly unknown[] }
      : { fault: `expected a list, got ${shown(input)}` },
};

/** A directory by its whole path. */
export const directory: Format<string> = text({
  is: /^\//,
  expected: "an absolute directory",
});
