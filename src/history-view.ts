import type { Clock } from "./core/ports.ts";
import { AgentError } from "./core/errors.ts";
import type { HistoryEntry } from "./core/history.ts";
import type { AgentView } from "./api/ports.ts";
import type { KeptHistory } from "./store/kept-history.ts";
import { dayOf } from "./store/slots.ts";

/** Some 1.5 kB each: more than 15 MB an agent must not take beside its work. */
const maxEntries = 10_000;
/** Days looked at at once. */
const atOnce = 10;

/** What the API may ask about alerts that are over. */
export function historyView({
  history,
  historyDays,
  clock,
}: {
  readonly history: Pick<KeptHistory, "day" | "get">;
  readonly historyDays: () => number;
  readonly clock: Clock;
}): Pick<AgentView, "history" | "remembered"> {
  return {
    history: async (fromMs, toMs) => {
      const found: HistoryEntry[] = [];
      const first = Math.max(dayOf(fromMs), dayOf(clock.now()) - historyDays());
      for (let day = Math.min(dayOf(toMs), dayOf(clock.now()) + 1); day >= first; day--) {
        const entries = await history.day(day);
        found.push(
          ...entries.filter(
            ({ incident }) => incident.startedAtMs >= fromMs && incident.startedAtMs <= toMs,
          ),
        );
        if (found.length > maxEntries)
          throw new AgentError("INPUT_INVALID", "too many alerts to look through", {
            faults: [
              { path: "from", message: `more than ${maxEntries} alerts; ask for less time` },
            ],
          });
      }
      return found;
    },
    remembered: async (id) => {
      const today = dayOf(clock.now());
      for (let back = 0; back <= historyDays(); back += atOnce) {
        const days = Array.from({ length: atOnce }, (_, at) => today + 1 - back - at);
        const found = await Promise.all(days.map((day) => history.get(day, id)));
        const entry = found.find((one) => one !== null);
        if (entry !== undefined) return entry;
      }
      return null;
    },
  };
}
