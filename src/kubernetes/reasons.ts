import type { Operator } from "../core/rule.ts";

/** Words of index names that are written in their own way. */
const spelt: ReadonlyMap<string, string> = new Map([
  ["cpu", "CPU"],
  ["iowait", "IOWait"],
  ["io", "IO"],
  ["tcp", "TCP"],
]);

/** The longest reason the API server takes (`reasonLengthLimit` of pkg/apis/core/validation/events.go). */
const maxReasonLength = 128;
/** What the longest reason has beside its index. */
const fixedLength = "NodeRecovered".length;

/** `cpu_iowait` as `CPUIOWait`: an index in UpperCamelCase; one of a foreign alert may be any text. */
function camel(index: string): string {
  return index
    .split(/[^A-Za-z0-9]+/)
    .filter((word) => word !== "")
    .map((word) => spelt.get(word) ?? word[0]?.toUpperCase() + word.slice(1))
    .join("");
}

/**
 * The reason of an Event about an index: `NodeCPUHigh`, `NodeCPURecovered`; `NodeCPULow` under a rule with `<`. It
 * follows from the index alone, so that whoever filters by it can rely on it.
 */
export function reasonOf(
  index: string,
  what: "breach" | "recovery",
  operator: Operator | null,
): string {
  const isLow = operator === "<" || operator === "<=";
  const suffix = what === "recovery" ? "Recovered" : isLow ? "Low" : "High";
  return `Node${camel(index).slice(0, maxReasonLength - fixedLength)}${suffix}`;
}
