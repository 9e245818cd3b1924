/** A condition on the value of one label; a label that is not there has the value `""`. */
export interface Matcher {
  readonly label: string;
  readonly fits: (value: string) => boolean;
  /** The only value that fits, when there is but one. */
  readonly only: string | null;
}

/** What becomes of the samples of a window. */
export type OverTime = "avg" | "max" | "min";

/** A question for series: at each time the newest sample, or what a function makes of the window before it. */
export interface SeriesExpression {
  readonly kind: "series";
  readonly matchers: readonly Matcher[];
  readonly window: { readonly overTime: OverTime; readonly rangeMs: number } | null;
}

/** What a query may be. */
export type Expression = SeriesExpression | { readonly kind: "scalar"; readonly value: number };
