import type { Level } from "./rule.ts";
import type { Labels } from "./series.ts";

/** What a silence is about; every part must hold. Of the patterns of a part, in which `*` stands for anything, one. */
export interface SilenceMatchers {
  /** On the node's name or on `cluster/name`; null: any. */
  readonly node: readonly string[] | null;
  readonly cluster: readonly string[] | null;
  readonly rule: readonly string[] | null;
  readonly index: readonly string[] | null;
  readonly level: readonly Level[] | null;
  /** A pattern on the value of each of these labels; a label that the series does not have fits none. */
  readonly labels: Labels;
  /** A series with more labels than those does not fit; missing: it does. */
  readonly onlyLabels?: boolean;
}

/** Time in which people are told nothing about some alerts. */
export interface Silence {
  readonly id: string;
  readonly matchers: SilenceMatchers;
  /** Unix milliseconds. */
  readonly startsAtMs: number;
  /** From here on it is over; who ends it early sets this to the time of it. */
  readonly endsAtMs: number;
  readonly createdAtMs: number;
  readonly author: string;
  /** Why it is silenced. */
  readonly comment: string;
}

export const silenceStates = ["active", "pending", "expired"] as const;
export type SilenceState = (typeof silenceStates)[number];

/** Whether a silence holds now, will hold, or is over. */
export function silenceState({ startsAtMs, endsAtMs }: Silence, nowMs: number): SilenceState {
  if (nowMs >= endsAtMs) return "expired";
  return nowMs < startsAtMs ? "pending" : "active";
}

/** The silences of the whole fleet. */
export interface SilencePort {
  /** Keeps a silence, in the place of the one of its id. Rejects with CONFLICT when there are too many. */
  put(silence: Silence): Promise<void>;
  /** Those that are not over, and those that ended within a day; in no order. */
  list(): Promise<readonly Silence[]>;
}

/** The parts of some matchers that are given, in the words of the API. */
export function showMatchers({
  labels,
  onlyLabels = false,
  ...texts
}: SilenceMatchers): Record<string, unknown> {
  const given = Object.entries(texts).filter(([, patterns]) => patterns !== null);
  return {
    ...Object.fromEntries(given),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
    ...(onlyLabels ? { only_labels: true } : {}),
  };
}
