import type { Labels } from "./series.ts";

/** One metric family of the Prometheus text format. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "gauge" | "counter";
  readonly samples: readonly { readonly labels: Labels; readonly value: number }[];
}
