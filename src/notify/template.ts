import Mustache from "mustache";
import * as v from "valibot";
import { strictObject, text } from "../base/parse.ts";
import { unknownKey } from "../base/text.ts";
import type { Template } from "../core/delivery.ts";
import { errorText } from "../core/errors.ts";
import { flagNames, valueNames, type TemplateView } from "./template-view.ts";

/** A message has its values beside this; the shortest body of a channel has 4,096 bytes. */
const maxBytes = 2_000;

const names: readonly string[] = [...valueNames, ...flagNames];

/** What is wrong with a name between braces; null: nothing. */
function nameFault(name: string): string | null {
  if (name === "." || names.includes(name)) return null;
  return `{{${name}}}: ${unknownKey(name, names, "name")}`;
}

/** The first fault of what a template was read as; null: there is none. */
function tokensFault(tokens: readonly unknown[]): string | null {
  for (const token of tokens) {
    const [kind, name, , , inner] = token as [string, string, number, number, unknown]; // proof: how Mustache keeps them
    if (kind === ">") return `{{>${name}}}: templates cannot include others`;
    if (kind === "=") return "{{=…=}}: the braces cannot be changed";
    const fault = ["name", "&", "#", "^"].includes(kind) ? nameFault(name) : null;
    const deeper = fault ?? (Array.isArray(inner) ? tokensFault(inner) : null);
    if (deeper !== null) return deeper;
  }
  return null;
}

/** What is wrong with a template; null: nothing. */
export function templateFault(template: string): string | null {
  try {
    return tokensFault(Mustache.parse(template));
  } catch (cause) {
    return errorText(cause);
  }
}

const checkedText = v.pipe(
  text,
  v.check(
    (given) => Buffer.byteLength(given) <= maxBytes,
    `expected at most ${maxBytes} bytes; a message has only so much room`,
  ),
  v.rawCheck(({ dataset, addIssue }) => {
    const fault = dataset.typed ? templateFault(dataset.value) : null;
    if (fault !== null) addIssue({ message: fault });
  }),
);

/** `template` of a channel. */
export const templateSettings: v.GenericSchema<unknown, Template> = v.pipe(
  strictObject({
    title: v.optional(v.nullable(checkedText), null),
    text: v.optional(v.nullable(checkedText), null),
  }),
  v.check(({ title, text }) => title !== null || text !== null, "expected title, text or both"),
);

/** Fills a checked template in; what a message has no value for is empty. What comes of it is plain text. */
export function fillTemplate(template: string, view: TemplateView): string {
  return Mustache.render(template, view, {}, { escape: String });
}
