import type { Silence, SilencePort } from "../../core/silence.ts";
import {
  keptSilences,
  maxSilences,
  replacedSilences,
  silenceSchema,
  silencesExpireSeconds,
} from "../silence.ts";
import type { SmallDeps } from "./nodes.ts";
import { pairsReply } from "./replies.ts";

/** Silences of the whole fleet in one hash, which expires when the last of them is long over. */
export function createRedisSilences({ connection, keys, clock, readJson }: SmallDeps): SilencePort {
  const all = async (): Promise<readonly Silence[]> => {
    const [reply] = await connection.run([["hgetall", keys.silences]]);
    return pairsReply(reply).flatMap(([, text]) => readJson(silenceSchema, text, "silence") ?? []);
  };
  return {
    put: async (silence) => {
      const gone = replacedSilences(await all(), silence, clock.now());
      if (gone.length > 0) await connection.run([["hdel", keys.silences, ...gone]]);
      await connection.run([
        ["hset", keys.silences, silence.id, JSON.stringify(silence)],
        ["expire", keys.silences, silencesExpireSeconds],
      ]);
    },
    // Two who add one at the same moment may exceed the cap by one.
    list: async () => keptSilences(await all(), clock.now()).slice(0, 2 * maxSilences),
  };
}
