import type { Surroundings } from "./surroundings.ts";

/** `off`: not asked for, or not to be had here; nothing is missing. */
export type Verdict = "ok" | "warning" | "failed" | "off";

/** What a problem costs, and what mends it. */
export interface Trouble {
  readonly found: string;
  /** What does not work because of it. */
  readonly costs: string;
  readonly fix: string;
}

/** One thing that was looked at. */
export interface Finding {
  readonly name: string;
  readonly status: Verdict;
  readonly found: string;
  readonly costs: string | null;
  readonly fix: string | null;
}

/**
 * A check looks at one part of the surroundings and changes nothing. It is one value in one file, known by the list in
 * `index.ts`; what cannot be found out is a finding too.
 */
export interface Check {
  /** What the names of its findings are or begin with. */
  readonly name: string;
  /** One sentence for the docs table. */
  readonly doc: string;
  /** What is lost where all it looks at is missing. */
  readonly costs: string;
  run(around: Surroundings, signal: AbortSignal): Promise<readonly Finding[]>;
}

export function ok(name: string, found: string): Finding {
  return { name, status: "ok", found, costs: null, fix: null };
}

export function off(name: string, found: string): Finding {
  return { name, status: "off", found, costs: null, fix: null };
}

export function warning(name: string, trouble: Trouble): Finding {
  return { name, status: "warning", ...trouble };
}

export function failed(name: string, trouble: Trouble): Finding {
  return { name, status: "failed", ...trouble };
}
