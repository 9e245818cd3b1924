import type { OptionSpec } from "../base/options.ts";

/** The options of `query` besides `--config`. */
export const queryOptions = {
  node: { kind: "values" },
  index: { kind: "values" },
  last: { kind: "value" },
  start: { kind: "value" },
  end: { kind: "value" },
  step: { kind: "value" },
  aggregate: { kind: "value" },
  format: { kind: "value" },
  url: { kind: "value" },
} as const satisfies Readonly<Record<string, OptionSpec>>;
