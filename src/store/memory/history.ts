import type { Clock } from "../../core/ports.ts";
import { dayOfIncident, type HistoryEntry, type HistoryPort } from "../../core/history.ts";
import { entriesPerDay } from "../history.ts";

/** The history in the memory of this agent. */
export function createMemoryHistory(clock: Clock): HistoryPort {
  const days = new Map<number, { entries: Map<string, HistoryEntry>; expireAt: number }>();
  const drop = (): void => {
    for (const [day, { expireAt }] of days) if (expireAt * 1_000 <= clock.now()) days.delete(day);
  };
  return {
    put: async (entry, expireAt) => {
      const day = dayOfIncident(entry.incident);
      const { entries } = days.get(day) ?? { entries: new Map<string, HistoryEntry>() };
      days.set(day, { entries, expireAt });
      const { id } = entry.incident;
      if (entries.has(id) || entries.size < entriesPerDay) entries.set(id, entry);
      drop();
    },
    get: async (day, id) => {
      drop();
      return days.get(day)?.entries.get(id) ?? null;
    },
    day: async (day) => {
      drop();
      return [...(days.get(day)?.entries.values() ?? [])];
    },
  };
}
