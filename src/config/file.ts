import { parse, printParseErrorCode, type ParseError } from "jsonc-parser";
import { AgentError } from "../core/errors.ts";

function malformed(what: string, place: string): AgentError {
  return new AgentError("CONFIG_INVALID", what, { faults: [{ path: place, message: what }] });
}

function lineAndColumn(text: string, offset: number): string {
  const before = text.slice(0, offset).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

function parseJson(text: string, path: string): unknown {
  const errors: ParseError[] = [];
  const value: unknown = parse(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined) return value;
  const place = lineAndColumn(text, first.offset);
  throw malformed(`not valid JSON at ${place} (${printParseErrorCode(first.error)})`, path);
}

/** YAML is read by few: its parser is loaded when the first such file is. */
async function parseYaml(text: string, path: string): Promise<unknown> {
  const { parseDocument: parseYamlDocument } = await import("./yaml.ts");
  const document = parseYamlDocument(text, { prettyErrors: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const at = error.linePos?.[0];
    const place = at === undefined ? "its end" : `line ${at.line}, column ${at.col}`;
    throw malformed(`not valid YAML at ${place} (${error.code})`, path);
  }
  try {
    return document.toJS({ maxAliasCount: 100 });
  } catch {
    throw malformed("not valid YAML: too many aliases, or one that points nowhere", path);
  }
}

/**
 * Reads a config text: YAML when the path ends in .yaml or .yml, else JSON with comments and trailing commas, as
 * people paste it. Throws CONFIG_INVALID with the place of the mistake and none of the text around it.
 */
export async function parseConfigText(text: string, path: string): Promise<unknown> {
  const clean = text.replace(/^\uFEFF/, "");
  if (clean.trim() === "") return undefined;
  return /\.ya?ml$/i.test(path) ? parseYaml(clean, path) : parseJson(clean, path);
}
