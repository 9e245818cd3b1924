import type { Level, Rule } from "../core/rule.ts";

const minuteMs = 60_000;

function builtin(index: string, thresholds: Partial<Record<Level, number>>, forMs: number): Rule {
  const lowest = thresholds.warning ?? 0;
  return {
    name: `default-${index}`,
    index,
    operator: ">=",
    thresholds,
    forMs,
    clear: lowest - 5,
    keepFiringForMs: 0,
    cooldownMs: null,
    labels: {},
    channels: null,
    nodes: null,
    message: null,
    runbookUrl: null,
    enabled: true,
  };
}

/** What a first start already watches; each stands only while no source has a rule for its index. */
export const builtinRules: readonly Rule[] = [
  builtin("cpu", { warning: 90 }, 5 * minuteMs),
  builtin("memory", { warning: 90 }, 5 * minuteMs),
  builtin("disk", { warning: 85, critical: 95 }, 0),
  builtin("inodes", { warning: 85, critical: 95 }, 0),
];
