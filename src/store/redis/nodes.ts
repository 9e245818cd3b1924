import * as v from "valibot";
import { nodeId } from "../../core/node.ts";
import type { Clock } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import { dayMs } from "../slots.ts";
import type { RedisCommand, RedisConnection } from "./connection.ts";
import type { JsonReader } from "../garbled.ts";
import { createRefresh } from "./refresh.ts";
import type { Keys } from "./keys.ts";
import { namesReply, pairsReply, textsReply } from "./replies.ts";

/** Dead nodes taken out at once; any agent goes on with the rest some hours later. */
const maxRemoved = 100;

const infoSchema = v.object({
  cluster: v.string(),
  name: v.string(),
  ip: v.string(),
  version: v.string(),
});

export interface SmallDeps {
  readonly connection: RedisConnection;
  readonly keys: Keys;
  readonly clock: Clock;
  readonly readJson: JsonReader;
  readonly retentionDays: () => number;
}

/** The retention in seconds. */
export function retentionSeconds(retentionDays: () => number): number {
  return (retentionDays() * dayMs) / 1_000;
}

function oldestMs({ clock, retentionDays }: SmallDeps): number {
  return clock.now() - retentionDays() * dayMs;
}

/** Keeps from expiring what belongs to a living node. */
async function refresh(deps: SmallDeps, id: string, json: string): Promise<void> {
  const { connection, keys } = deps;
  const seconds = retentionSeconds(deps.retentionDays);
  const rounds: RedisCommand[][] = [
    [["expire", keys.nodes, seconds]],
    [
      ["hset", keys.nodeInfos, id, json],
      ["expire", keys.nodeInfos, seconds],
    ],
    [
      ["expire", keys.states(id), seconds],
      ["expire", keys.documents(id), seconds],
    ],
  ];
  for (const round of rounds) await connection.run(round);
}

/** Takes out nodes that were not seen for the retention. */
async function removeDead(deps: SmallDeps): Promise<void> {
  const { connection, keys } = deps;
  const range = ["-inf", `(${oldestMs(deps)}`, "LIMIT", 0, maxRemoved];
  const [reply] = await connection.run([["zrangebyscore", keys.nodes, ...range]]);
  const dead = namesReply(reply);
  if (dead.length === 0) return;
  await connection.run([["hdel", keys.nodeInfos, ...dead]]);
  await connection.run([["zrem", keys.nodes, ...dead]]);
}

/** Who lives: when each was last seen, and what it said of itself. */
export function createRedisNodes(deps: SmallDeps): Pick<Backend, "heartbeat" | "nodes"> {
  const { connection, keys, clock, readJson } = deps;
  const refreshed = createRefresh(clock, connection);
  const said = new Map<string, string>();
  return {
    heartbeat: async ({ cluster, name, ip, version, lastSeenMs }) => {
      const id = nodeId({ cluster, name });
      const json = JSON.stringify({ cluster, name, ip, version });
      await connection.run([["zadd", keys.nodes, lastSeenMs, id]]);
      if (said.get(id) === json && !refreshed.due(id)) return;
      await refresh(deps, id, json);
      await removeDead(deps);
      said.set(id, json);
      refreshed.done(id);
    },
    nodes: async () => {
      const range = [oldestMs(deps), "+inf", "WITHSCORES"];
      const [reply] = await connection.run([["zrangebyscore", keys.nodes, ...range]]);
      const seen = pairsReply(reply);
      if (seen.length === 0) return [];
      const ids = seen.map(([id]) => id);
      const [infos] = await connection.run([["hmget", keys.nodeInfos, ...ids]]);
      const texts = textsReply(infos);
      return seen.flatMap(([, score], index) => {
        const info = readJson(infoSchema, texts[index] ?? "", "node");
        return info === null ? [] : [{ ...info, lastSeenMs: Number(score) }];
      });
    },
  };
}
