import type { JsonSchema } from "../../src/config/formats.ts";
import { channelPlugins } from "../../src/notify/index.ts";
import { closed } from "./from-valibot.ts";
import { ref, valueTypes } from "./types.ts";
import { documentedValues, type DocumentedValue } from "./values.ts";

function leafSchema({ key, default: value, type }: DocumentedValue): JsonSchema {
  if (type !== null) return ref(type);
  if (typeof value === "boolean") return { type: "boolean" };
  if (typeof value === "string") return { type: "string" };
  throw new Error(`values.yaml: ${key} needs a "# @type"`);
}

interface Section {
  readonly schema: Record<string, JsonSchema>;
  readonly sections: Map<string, Section>;
}

function emptySection(): Section {
  return { schema: {}, sections: new Map() };
}

function sectionSchema({ schema, sections }: Section): Record<string, JsonSchema> {
  const inner = [...sections].map(
    ([key, section]) => [key, closed(sectionSchema(section))] as const,
  );
  return { ...schema, ...Object.fromEntries(inner) };
}

/** values.schema.json: what values.yaml documents, with the settings, rules and channels of the code in it. */
export function valuesSchema(valuesText: string): JsonSchema {
  const root = emptySection();
  for (const value of documentedValues(valuesText)) {
    const steps = value.key.split(".");
    const last = steps.pop() ?? value.key;
    let at = root;
    for (const step of steps) {
      const next = at.sections.get(step) ?? emptySection();
      at.sections.set(step, next);
      at = next;
    }
    const schema = leafSchema(value);
    // Beside a reference nothing else counts.
    at.schema[last] =
      "$ref" in schema
        ? { description: value.doc, allOf: [schema] }
        : { description: value.doc, ...schema };
  }
  return {
    $schema: "http://json-schema.org/draft-07/schema#",
    title: "Values of the chart targetvpc",
    // Of a chart that has this one as a dependency.
    ...closed({ ...sectionSchema(root), global: { type: "object" } }),
    definitions: valueTypes(),
  };
}

/** Which settings of which channel go into a Secret: read by the templates. */
export function channelSecrets(): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(channelPlugins.map(({ type, fromFile }) => [type, fromFile]));
}
