import { dayOfIncident, type HistoryEntry, type HistoryPort } from "../../core/history.ts";
import { entriesPerDay, historySchema } from "../history.ts";
import { keysBelow, partsOf, type SmallDeps, smallKey, valuesOf } from "./small.ts";

const kind = "history";

/** What a day's entries are kept until stands in their keys, so that they go without being read. */
function expiryOf(key: string): number {
  return Number(partsOf(key)[2]);
}

/** The history of the agents that share the directory. */
export function createFileHistory({ gate, use, clock, readJson }: SmallDeps): HistoryPort {
  const read = (day: number, end: string): Promise<readonly HistoryEntry[]> =>
    gate.read(() =>
      use(async (log) => {
        const found = keysBelow(await log.keys(), kind).filter((key) => {
          const [, of] = partsOf(key);
          return of === day && key.endsWith(end) && expiryOf(key) * 1_000 > clock.now();
        });
        const values = await valuesOf(log, found);
        return values.flatMap(([, text]) => readJson(historySchema, text, kind) ?? []);
      }),
    );
  return {
    put: (entry, expireAt) =>
      gate.write("small", () =>
        use(async (log) => {
          const day = dayOfIncident(entry.incident);
          const { id } = entry.incident;
          const all = keysBelow(await log.keys(), kind);
          const same = all.filter((key) => key.endsWith(`,${JSON.stringify(id)}]`));
          const over = all.filter((key) => expiryOf(key) * 1_000 <= clock.now());
          const changes = new Map<string, Buffer | null>(
            [...same, ...over].map((key) => [key, null]),
          );
          const others = all.filter((key) => partsOf(key)[1] === day && !same.includes(key));
          if (others.length < entriesPerDay)
            changes.set(smallKey(kind, day, expireAt, id), Buffer.from(JSON.stringify(entry)));
          await log.write(changes);
        }),
      ),
    get: async (day, id) => (await read(day, `,${JSON.stringify(id)}]`))[0] ?? null,
    day: (day) => read(day, "]"),
  };
}
