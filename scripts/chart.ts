/** Writes what the chart takes from the code: values.schema.json and the list of channel settings that are secret. */
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { channelSecrets, valuesSchema } from "./chart/schema.ts";

/** The chart's directory. */
export const chart = path.join(import.meta.dirname, "../charts/targetvpc");

/** The text of values.yaml. */
export function valuesText(): string {
  return readFileSync(path.join(chart, "values.yaml"), "utf8");
}

/** The generated files of the chart, by name, as they should be. */
export function generated(): Readonly<Record<string, string>> {
  const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;
  return {
    "values.schema.json": json(valuesSchema(valuesText())),
    "files/channel-secrets.json": json(channelSecrets()),
  };
}

if (process.argv[1] === import.meta.filename)
  for (const [name, text] of Object.entries(generated()))
    writeFileSync(path.join(chart, name), text);
