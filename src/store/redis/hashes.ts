import type { StatePort } from "../../core/ports.ts";
import type { Backend } from "../contract.ts";
import type { RedisCommand } from "./connection.ts";
import { retentionSeconds, type SmallDeps } from "./nodes.ts";
import { pairsReply, textsReply } from "./replies.ts";

function createStates({ connection, keys, retentionDays }: SmallDeps, node: string): StatePort {
  const key = keys.states(node);
  return {
    load: async () => {
      const [reply] = await connection.run([["hgetall", key]]);
      return new Map(pairsReply(reply));
    },
    save: async (changes) => {
      const kept: string[] = [];
      const gone: string[] = [];
      for (const [name, value] of changes)
        if (value === null) gone.push(name);
        else kept.push(name, value);
      const commands: RedisCommand[] = [];
      if (kept.length > 0) commands.push(["hset", key, ...kept]);
      if (gone.length > 0) commands.push(["hdel", key, ...gone]);
      if (commands.length === 0) return;
      await connection.run([...commands, ["expire", key, retentionSeconds(retentionDays)]]);
    },
  };
}

type Hashes = Pick<Backend, "states" | "putDocument" | "getDocument">;

/** Alert states and small documents: a hash for each node, kept while the node lives and the retention after. */
export function createRedisHashes(deps: SmallDeps): Hashes {
  const { connection, keys, retentionDays } = deps;
  return {
    states: (node) => createStates(deps, node),
    putDocument: async (node, kind, json) => {
      const key = keys.documents(node);
      await connection.run([
        ["hset", key, kind, json],
        ["expire", key, retentionSeconds(retentionDays)],
      ]);
    },
    getDocument: async (node, kind) => {
      const [reply] = await connection.run([["hmget", keys.documents(node), kind]]);
      return textsReply(reply)[0] ?? null;
    },
  };
}
