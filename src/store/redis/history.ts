import { dayOfIncident, type HistoryPort } from "../../core/history.ts";
import { entriesPerDay, historySchema } from "../history.ts";
import type { SmallDeps } from "./nodes.ts";
import { pairsReply, textsReply } from "./replies.ts";

/**
 * Keeps an entry, unless there are too many others.
 *
 * KEYS: the day. ARGV: id; entry; most entries; when the day expires, Unix seconds. Returns 1.
 */
const put = `
local isNew = not redis.call("HMGET", KEYS[1], ARGV[1])[1]
if isNew and #redis.call("HKEYS", KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call("HSET", KEYS[1], ARGV[1], ARGV[2])
redis.call("EXPIREAT", KEYS[1], ARGV[4])
return 1
`;

/** The history of the fleet, a hash for each day that incidents began on. */
export function createRedisHistory({ connection, keys, readJson }: SmallDeps): HistoryPort {
  return {
    put: async (entry, expireAt) => {
      const key = keys.history(dayOfIncident(entry.incident));
      const { id } = entry.incident;
      const about = [id, JSON.stringify(entry), entriesPerDay, expireAt];
      await connection.run([["eval", put, 1, key, ...about]]);
    },
    get: async (day, id) => {
      const [reply] = await connection.run([["hmget", keys.history(day), id]]);
      const [text = null] = textsReply(reply);
      return text === null ? null : readJson(historySchema, text, "history");
    },
    day: async (day) => {
      const [reply] = await connection.run([["hgetall", keys.history(day)]]);
      return pairsReply(reply).flatMap(
        ([, text]) => readJson(historySchema, text, "history") ?? [],
      );
    },
  };
}
