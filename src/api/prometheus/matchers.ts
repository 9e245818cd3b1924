import { compileRegex, type RegexBudget } from "../../base/regex/index.ts";
import type { Matcher } from "./syntax.ts";

/** The signs between a label and a value. */
export const matchOperators = ["=", "!=", "=~", "!~"] as const;
export type MatchOperator = (typeof matchOperators)[number];

/** Work of all regular expressions of a question: half a second. A thousand nodes named one by one take a tenth of it. */
const regexSteps = 4_000_000;

export function createRegexBudget(): RegexBudget {
  return { steps: regexSteps };
}

/** The values of a label recur from series to series; each is looked at once. */
function remembering(test: (value: string) => boolean): (value: string) => boolean {
  const known = new Map<string, boolean>();
  return (value) => {
    const before = known.get(value);
    if (before !== undefined) return before;
    const fits = test(value);
    known.set(value, fits);
    return fits;
  };
}

/** A matcher of a label. Regular expressions have to fit the whole value. Throws INPUT_INVALID when one is wrong. */
export function createMatcher(
  label: string,
  operator: MatchOperator,
  value: string,
  budget: RegexBudget,
): Matcher {
  switch (operator) {
    case "=":
      return { label, fits: (given) => given === value, only: value };
    case "!=":
      return { label, fits: (given) => given !== value, only: null };
    case "=~": {
      return { label, fits: remembering(compileRegex(value, budget)), only: null };
    }
    case "!~": {
      const fits = remembering(compileRegex(value, budget));
      return { label, fits: (given) => !fits(given), only: null };
    }
  }
}

/** Whether labels, those that are missing taken as empty, fit every matcher. */
export function fitsAll(
  matchers: readonly Matcher[],
  labels: Readonly<Record<string, string>>,
): boolean {
  return matchers.every(({ label, fits }) =>
    fits(Object.hasOwn(labels, label) ? (labels[label] ?? "") : ""),
  );
}
