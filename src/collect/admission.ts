import type { Log } from "../core/ports.ts";
import type { SeriesKey } from "../core/series.ts";

/** Values of one look, by series. */
export type Values = ReadonlyMap<SeriesKey, number | null>;

/** Keeps the number of stored series of a node below its limit. */
export interface Admission {
  /** The values that may be stored: of series that were there before, then unlabelled ones, then as they come. */
  admit(values: Values): Values;
  /** Series the last look had to leave out. */
  refused(): number;
}

/** What a node may store; one of a thousand mounts must not fill the shared store. */
export const maxSeries = 200;

/** Starts with nothing admitted; a series that is no longer read gives its place away. */
export function createAdmission(log: Log): Admission {
  let admitted: ReadonlySet<SeriesKey> = new Set();
  let refused = 0;
  const rank = (key: SeriesKey): number => {
    if (admitted.has(key)) return 0;
    return key.includes("{") ? 2 : 1;
  };
  return {
    admit: (values) => {
      const byRank = [...values.keys()].sort((a, b) => rank(a) - rank(b));
      const refusedBefore = refused;
      admitted = new Set(byRank.slice(0, maxSeries));
      refused = byRank.length - admitted.size;
      if (refused > 0 && refusedBefore === 0)
        log.warn("series refused", { refused, limit: maxSeries, first: byRank[maxSeries] });
      if (refused === 0 && refusedBefore > 0) log.info("no series refused any more");
      return new Map([...values].filter(([key]) => admitted.has(key)));
    },
    refused: () => refused,
  };
}
