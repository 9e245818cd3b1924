import { AgentError } from "../../core/errors.ts";
import type { SeriesKey } from "../../core/series.ts";
import type { Backend, DayFields, DayValues } from "../contract.ts";
import type { Asked } from "./day-read.ts";
import { isSeries } from "./series-keys.ts";
import {
  type Coverage,
  coveredName,
  decodeCoverage,
  decodeTier,
  type TierColumn,
} from "../format/tier-codec.ts";
import type { DayPoints } from "../keep/tier-points.ts";
import type { Unreadable } from "../unreadable.ts";

/** What the tier has of a day. */
export interface StoredTier extends DayPoints {
  readonly coverage: Coverage;
}

interface TierReadDeps {
  readonly backend: Backend;
  readonly unreadable: Unreadable;
}

/** Reads what the tier has of some days; null: nothing, or something that cannot be read, which is noted. */
export type TierReader = (
  days: readonly number[],
  asked: Asked,
) => Promise<readonly (StoredTier | null)[]>;

/** What values say that are called so, `@covered` first; null: nothing. Throws BLOCK_INVALID. */
export function decodeStored(names: readonly string[], values: DayValues): StoredTier | null {
  const [said] = values;
  if (said === null || said === undefined) return null;
  const coverage = decodeCoverage(said);
  const columns = new Map<SeriesKey, TierColumn>();
  for (const [index, name] of names.entries()) {
    const value = values[index] ?? null;
    if (index > 0 && value !== null) columns.set(name, decodeTier(value));
  }
  return { coverage, columns, present: coverage.present };
}

export function createTierReader({ backend, unreadable }: TierReadDeps): TierReader {
  const namesOf = async (day: number, { node, keys, starred, wants }: Asked): Promise<string[]> => {
    if (!starred) return [coveredName, ...keys];
    const names = await backend.names(node, day, "tier");
    return [coveredName, ...names.filter((name) => isSeries(name) && wants(name))];
  };
  return async (days, asked) => {
    const names = await Promise.all(days.map((day) => namesOf(day, asked)));
    const wanted = days.map((day, index): DayFields => ({
      part: "tier",
      day,
      names: names[index] ?? [],
    }));
    const values = await backend.read(asked.node, wanted);
    return wanted.map(({ day, names }, index) => {
      try {
        return decodeStored(names, values[index] ?? []);
      } catch (cause) {
        if (!(cause instanceof AgentError && cause.code === "BLOCK_INVALID")) throw cause;
        unreadable.note({ node: asked.node, day, block: "tier" }, cause);
        return null;
      }
    });
  };
}
