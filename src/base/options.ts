import { parseArgs } from "node:util";
import type { Fault } from "../core/errors.ts";
import type { Parsed } from "./parse.ts";
import { unknownKey } from "./text.ts";

/** An option of a command line: there or not, with a value, or with values, once each time it is given. */
export interface OptionSpec {
  readonly kind: "flag" | "value" | "values";
  /** One letter for `-x`. */
  readonly short?: string;
}

/** A command line taken apart. */
export interface CommandLine {
  /** What is no option, in order. */
  readonly words: readonly string[];
  /** By the names of the options that were given; a flag has no values. */
  readonly options: ReadonlyMap<string, readonly string[]>;
}

interface Token {
  readonly name: string;
  readonly rawName: string;
  readonly value?: string | undefined;
}

/** What is wrong with one option; null: nothing. */
function faultOf(
  { name, rawName, value }: Token,
  specs: Readonly<Record<string, OptionSpec>>,
  isRepeated: boolean,
): Fault | null {
  const fault = (message: string): Fault => ({ path: rawName, message });
  const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
  if (spec === undefined)
    return fault(
      unknownKey(
        rawName,
        Object.keys(specs).map((known) => `--${known}`),
        "option",
      ),
    );
  if (spec.kind === "flag") return value === undefined ? null : fault("takes no value");
  // A value may begin with one dash, as `-1h` does; with two, it is the next option.
  if (value === undefined || value.startsWith("--")) return fault("needs a value");
  if (value === "") return fault("must not be empty");
  return isRepeated && spec.kind === "value" ? fault("given more than once") : null;
}

/** Takes a command line apart, or says all that is wrong with its options. */
export function readOptions(
  args: readonly string[],
  specs: Readonly<Record<string, OptionSpec>>,
): Parsed<CommandLine> {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(specs).map(([name, { kind, short }]) => [
        name,
        {
          type: kind === "flag" ? "boolean" : "string",
          ...(short === undefined ? {} : { short }),
        } as const,
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const faults: Fault[] = [];
  const words: string[] = [];
  const options = new Map<string, string[]>();
  for (const token of tokens) {
    if (token.kind === "positional") words.push(token.value);
    if (token.kind !== "option") continue;
    const given = options.get(token.name);
    const fault = faultOf(token, specs, given !== undefined);
    if (fault !== null) faults.push(fault);
    options.set(token.name, [
      ...(given ?? []),
      ...(token.value === undefined ? [] : [token.value]),
    ]);
  }
  return faults.length > 0 ? { ok: false, faults } : { ok: true, value: { words, options } };
}
