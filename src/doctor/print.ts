import { oneLine } from "../base/text.ts";
import type { Finding, Verdict } from "./contract.ts";

const colours: Readonly<Record<Verdict, number>> = { ok: 32, warning: 33, failed: 31, off: 90 };

/** Whether all is fine: nothing missing, nothing broken. */
export function isFine(findings: readonly Finding[]): boolean {
  return findings.every(({ status }) => status === "ok" || status === "off");
}

function summary(findings: readonly Finding[]): string {
  const count = (wanted: Verdict): number =>
    findings.filter(({ status }) => status === wanted).length;
  return `${count("ok")} ok, ${count("warning")} warnings, ${count("failed")} failed, ${count("off")} off`;
}

/** One aligned line a finding; what a problem costs and what mends it below its line. */
export function printed(findings: readonly Finding[], { colour }: { colour: boolean }): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const word = (status: Verdict): string => {
    const padded = status.padEnd("warning".length);
    return colour ? `\u001B[${colours[status]}m${padded}\u001B[0m` : padded;
  };
  const lines = findings.flatMap(({ name, status, found, costs, fix }) => [
    `${word(status)}  ${name.padEnd(width)}  ${oneLine(found)}`,
    ...(costs === null ? [] : [`           costs: ${oneLine(costs)}`]),
    ...(fix === null ? [] : [`           fix:   ${oneLine(fix)}`]),
  ]);
  return `${[...lines, "", summary(findings)].join("\n")}\n`;
}
