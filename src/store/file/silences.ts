import type { Silence, SilencePort } from "../../core/silence.ts";
import { keptSilences, replacedSilences, silenceSchema } from "../silence.ts";
import type { RecordLog } from "./log.ts";
import { keysBelow, type SmallDeps, smallKey, valuesOf } from "./small.ts";

const kind = "silence";

/** Silences of the agents that share the directory, each under its id. */
export function createFileSilences({ gate, use, clock, readJson }: SmallDeps): SilencePort {
  const all = async (log: RecordLog): Promise<readonly Silence[]> => {
    const found = await valuesOf(log, keysBelow(await log.keys(), kind));
    return found.flatMap(([, text]) => readJson(silenceSchema, text, kind) ?? []);
  };
  return {
    put: async (silence) => {
      // Refused before anything is written: that there are too many is no fault of the disk.
      const known = await gate.read(() => use(all));
      const gone = replacedSilences(known, silence, clock.now());
      const changes = new Map<string, Buffer | null>(gone.map((id) => [smallKey(kind, id), null]));
      changes.set(smallKey(kind, silence.id), Buffer.from(JSON.stringify(silence)));
      await gate.write("small", () => use((log) => log.write(changes)));
    },
    list: () => gate.read(() => use(async (log) => keptSilences(await all(log), clock.now()))),
  };
}
