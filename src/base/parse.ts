import * as v from "valibot";
import type { Fault } from "../core/errors.ts";
import { parseDurationMs } from "./duration.ts";
import { Secret } from "./secret.ts";
import { unknownKey } from "./text.ts";

/** A parsed value, or everything that is wrong with the input. */
export type Parsed<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** Joins path steps as people write them: `alerts.rules[0].threshold`. */
export function joinPath(base: string, steps: readonly (string | number)[]): string {
  return steps.reduce<string>((path, step) => {
    if (typeof step === "number") return `${path}[${step}]`;
    return path === "" ? step : `${path}.${step}`;
  }, base);
}

function stepsOf(issue: v.BaseIssue<unknown>): (string | number)[] {
  return (issue.path ?? []).map(({ key }) => (typeof key === "number" ? key : String(key)));
}

/** Checks an input against a schema; every fault is reported, under `base`. */
export function parseWith<S extends v.GenericSchema>(
  schema: S,
  input: unknown,
  base = "",
): Parsed<v.InferOutput<S>> {
  const result = v.safeParse(schema, input, { abortPipeEarly: true });
  if (result.success) return { ok: true, value: result.output };
  return {
    ok: false,
    faults: result.issues.map((issue) => ({
      path: joinPath(base, stepsOf(issue)),
      message: issue.message,
    })),
  };
}

/** What kind of thing a value is, for messages that must not show the value. */
export function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value)
    ? "a list"
    : `a ${typeof value}`.replace("a object", "an object").replace("a undefined", "nothing");
}

/** An object whose unknown keys are faults that name the nearest known key. */
export function strictObject<const E extends v.ObjectEntries>(
  entries: E,
): v.StrictObjectSchema<E, (issue: v.StrictObjectIssue) => string> {
  return v.strictObject(entries, (issue) => {
    const last = issue.path?.at(-1);
    if (issue.expected === "never") return unknownKey(String(last?.key), Object.keys(entries));
    if (issue.received === "undefined") return "is required";
    return `expected an object, got ${kindOf(issue.input)}`;
  });
}

/** A text that is not empty. */
export const text = v.pipe(
  v.string((issue) => `expected a text, got ${kindOf(issue.input)}`),
  v.nonEmpty("must not be empty"),
);

/** A finite number, not a text that looks like one. */
export const finite = v.pipe(
  v.number((issue) => `expected a number, got ${kindOf(issue.input)}`),
  v.finite("expected a finite number"),
);

export const flag = v.boolean((issue) => `expected true or false, got ${kindOf(issue.input)}`);

/** A list; says so when it is not one. */
export function list<const S extends v.GenericSchema>(
  item: S,
): v.ArraySchema<S, (issue: v.ArrayIssue) => string> {
  return v.array(item, (issue) => `expected a list, got ${kindOf(issue.input)}`);
}

/** One of some words. */
export function oneOf<const T extends readonly string[]>(
  words: T,
): v.PicklistSchema<T, (issue: v.PicklistIssue) => string> {
  return v.picklist(words, (issue) => {
    const got = typeof issue.input === "string" ? JSON.stringify(issue.input) : kindOf(issue.input);
    return `expected one of ${words.join(", ")}, got ${got}`;
  });
}

/** What `parseDurationMs` reads, for JSON Schema. */
const durationPattern = "^\\s*(\\d+(\\.\\d+)?|(\\d+(\\.\\d+)?(ms|[smhdw]))+)\\s*$";

/** Seconds or "30s", "5m"; milliseconds out. */
export const durationMs = v.pipe(
  v.unknown(),
  v.check(
    (input) => parseDurationMs(input) !== null,
    'expected seconds or a duration such as "30s" or "5m"',
  ),
  v.transform((input) => parseDurationMs(input) ?? 0),
  v.metadata({ schema: { type: ["number", "string"], minimum: 0, pattern: durationPattern } }),
);

/** A secret: never shown in a fault. */
export const secret = v.pipe(
  v.string((issue) => `expected a text, got ${kindOf(issue.input)}`),
  v.nonEmpty("must not be empty"),
  v.transform((value) => new Secret(value)),
);

function isTexts(input: unknown): input is Readonly<Record<string, string>> {
  return (
    typeof input === "object" &&
    input !== null &&
    !Array.isArray(input) &&
    Object.values(input).every((value) => typeof value === "string")
  );
}

/** Texts by any name; a `record` of the library leaves out `prototype` and `constructor`, which a label may be called. */
export const texts = v.custom<Readonly<Record<string, string>>>(isTexts, "expected texts by name");
