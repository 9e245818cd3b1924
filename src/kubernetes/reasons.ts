import type { Operator } from "../core/rule.ts";

/** Words of index names that are written in their own way. */
const spelt: Readonly<Record<string, string>> = {
  cpu: "CPU",
  iowait: "IOWait",
  io: "IO",
  tcp: "TCP",
};

/** The longest reason the API server takes (`reasonLengthLimit` of pkg/apis/core/validation/events.go). */
const maxReasonLength = 128;

/** `cpu_iowait` as `CPUIOWait`: an index in UpperCamelCase. */
function camel(index: string): string {
  return index
    .split("_")
    .filter((word) => word !== "")
    .map((word) => spelt[word] ?? word[0]?.toUpperCase() + word.slice(1))
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
  return `Node${camel(index).slice(0, maxReasonLength - 13)}${suffix}`;
}
