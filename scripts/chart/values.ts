import { parse } from "yaml";

/** A value of the chart as values.yaml documents it. */
export interface DocumentedValue {
  /** Dotted, as on helm's command line. */
  readonly key: string;
  readonly default: unknown;
  readonly doc: string;
  /** Named type of `@type`; null: the type of the default. */
  readonly type: string | null;
}

function at(tree: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (node, key) =>
      typeof node === "object" && node !== null
        ? (node as Record<string, unknown>)[key]
        : undefined,
    tree,
  );
}

interface Place {
  readonly indent: number;
  readonly key: string;
}

/** Every value with a `# -- …` comment above it, in order; `# @type name` gives it a named type. */
export function documentedValues(text: string): DocumentedValue[] {
  const tree: unknown = parse(text);
  const found: DocumentedValue[] = [];
  let above: Place[] = [];
  let doc: string | null = null;
  let type: string | null = null;
  for (const line of text.split("\n")) {
    doc = /^\s*# -- (.+)$/.exec(line)?.[1] ?? doc;
    type = /^\s*# @type (\w+)$/.exec(line)?.[1] ?? type;
    const [, spaces = "", key = ""] = /^(\s*)([\w-]+):/.exec(line) ?? [];
    if (key === "") continue;
    above = [
      ...above.filter(({ indent }) => indent < spaces.length),
      { indent: spaces.length, key },
    ];
    const path = above.map(({ key }) => key);
    if (doc !== null) found.push({ key: path.join("."), default: at(tree, path), doc, type });
    doc = type = null;
  }
  return found;
}
