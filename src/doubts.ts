import type { IndexDefinition } from "./core/series.ts";
import { nearest } from "./base/text.ts";
import { channelWarnings } from "./notify/settings.ts";
import type { Policy } from "./rules/book.ts";

/**
 * What works but is probably not meant. A rule about an unknown index is no fault: an admin server may already send
 * rules for collectors that only newer agents have.
 */
export function doubts(
  { rules, channels }: Policy,
  definitions: readonly IndexDefinition[],
): readonly string[] {
  const known = definitions.map(({ name }) => name);
  const unknown = rules.filter(({ value }) => value.enabled && !known.includes(value.index));
  return [
    ...unknown.map(({ value }) => {
      const meant = nearest(value.index, known);
      const hint = meant === undefined ? "" : `; did you mean "${meant}"?`;
      return `rule ${value.name}: no collector gives "${value.index}"${hint}`;
    }),
    ...channels.flatMap(({ value }) =>
      channelWarnings(value).map((text) => `channel ${value.name}: ${text}`),
    ),
  ];
}
