import { AgentError } from "../../core/errors.ts";
import type { RedisCommand } from "./commands.ts";
import type { Lack } from "./watch.ts";

/** What a server says of itself; null: it did not, or may not. */
export interface ServerFacts {
  readonly version: string | null;
  /** `standalone`, `cluster` or `sentinel`. */
  readonly mode: string | null;
  /** Whose copy it is, where nobody may write; null: it is a master. */
  readonly copyOf: string | null;
  /** Bytes; 0: no limit. */
  readonly maxMemory: number | null;
  readonly usedMemory: number | null;
  readonly policy: string | null;
}

/** A reply, or why there is none. */
export type Reply = readonly [cause: Error | null, reply?: unknown];

/** What a server is asked when it is connected; only the first must be allowed. */
export const greeting: readonly RedisCommand[] = [
  ["ping"],
  ["info", "server"],
  ["info", "replication"],
  ["info", "memory"],
];

/** Options of commands that the agent uses came with it. */
const least = [6, 2] as const;

function linesOf(text: unknown): [string, string][] {
  return String(text)
    .split("\r\n")
    .map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 1)];
    });
}

function numberOf(text: string | undefined): number | null {
  return text === undefined || !/^\d+$/.test(text) ? null : Number(text);
}

/** Reads the answers to `greeting`. */
export function factsOf(replies: readonly Reply[]): ServerFacts {
  const told = new Map(replies.flatMap(([cause, reply]) => (cause === null ? linesOf(reply) : [])));
  const copies = told.get("role") === "slave" && told.get("slave_read_only") !== "0";
  return {
    version: told.get("valkey_version") ?? told.get("redis_version") ?? null,
    mode: told.get("redis_mode") ?? told.get("server_mode") ?? null,
    copyOf: copies ? `${told.get("master_host")}:${told.get("master_port")}` : null,
    maxMemory: numberOf(told.get("maxmemory")),
    usedMemory: numberOf(told.get("used_memory")),
    policy: told.get("maxmemory_policy") ?? null,
  };
}

/** Older than what the agent needs. Valkey counts on from Redis 7. */
export function isOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major < least[0] || (major === least[0] && minor < least[1]);
}

/** Throws STORE_UNAVAILABLE, with the fix, when a server is none that can be written to. */
export function mustServe({ mode, copyOf }: ServerFacts): void {
  const no = (message: string): AgentError => new AgentError("STORE_UNAVAILABLE", message);
  if (mode === "sentinel")
    throw no("that is a Sentinel: name it in redis.sentinels, with redis.sentinel_name");
  if (copyOf !== null)
    throw no(`that is a read-only replica of ${copyOf}: redis.host must be the master's`);
}

/** What a server that can be written to lacks all the same. */
export function lacksOf({ version, mode, policy, maxMemory }: ServerFacts, form: string): Lack[] {
  const lacks: Lack[] = [];
  if (version !== null && isOld(version))
    lacks.push({
      kind: "version",
      problem: `Redis ${version} is older than ${least.join(".")}`,
      fix: `Redis ${least.join(".")} or newer, or Valkey`,
    });
  if (mode === "cluster" && form !== "cluster")
    lacks.push({
      kind: "mode",
      problem: "the server is a node of a cluster, and only keys of its own can be stored",
      fix: "redis.cluster_nodes (REDIS_CLUSTER_NODES) instead of redis.host",
    });
  if (policy !== null && policy.endsWith("-random") && maxMemory !== 0)
    lacks.push({
      kind: "eviction",
      problem: `with maxmemory-policy ${policy} a full Redis drops the newest history as well as the oldest`,
      fix: "maxmemory-policy volatile-ttl: the oldest days go first",
    });
  return lacks;
}

/** Not told is all that comes of it. */
const optional: readonly string[] = ["info", "time"];

/** The rights, in the words of the ACL, for want of which commands were refused. */
export function missingRights(
  causes: Iterable<readonly [command: string, cause: Error | null]>,
  prefix: string,
): string[] {
  const missing = new Set<string>();
  for (const [command, cause] of causes) {
    if (cause?.message.startsWith("NOPERM") !== true || optional.includes(command)) continue;
    missing.add(/\bkey/.test(cause.message) ? `~${prefix}:*` : `+${command}`);
  }
  return [...missing];
}

/** What the user lacks, with the line that gives it. */
export function rightsLack(missing: Iterable<string>): Lack {
  const words = [...missing].join(" ");
  return {
    kind: "rights",
    problem: `the ACL user has no right to ${words}`,
    fix: `ACL SETUSER <user> ${words}`,
  };
}

/** Why a cluster could not be entered, with the fix where it is known. */
export function clusterReason(reason: string): string {
  return /cluster support disabled/i.test(reason)
    ? `${reason}: cluster mode is off there; redis.host instead of redis.cluster_nodes`
    : reason;
}

/** Answers that say that the server is of no use now: it loads, it is a replica, the slot is nowhere. */
export function isAbsence(message: string): boolean {
  return /^(LOADING|MASTERDOWN|CLUSTERDOWN|READONLY|NOAUTH|MOVED|ASK|TRYAGAIN)\b/.test(message);
}
