import type { Clock } from "../../core/ports.ts";
import type { Silence, SilencePort } from "../../core/silence.ts";
import { keptSilences, replacedSilences } from "../silence.ts";

/** Silences in the memory of this agent. */
export function createMemorySilences(clock: Clock): SilencePort {
  const silences = new Map<string, Silence>();
  return {
    put: async (silence) => {
      for (const id of replacedSilences([...silences.values()], silence, clock.now()))
        silences.delete(id);
      silences.set(silence.id, silence);
    },
    list: async () => keptSilences([...silences.values()], clock.now()),
  };
}
