import type { Fault } from "../core/errors.ts";
import type { Config } from "./settings.ts";

/** Settings each of which is right, and which cannot stand together; `placeOf` says where people set one. */
export function contradictions(
  { redis }: Pick<Config, "redis">,
  placeOf: (key: string) => string,
): Fault[] {
  const faults: Fault[] = [];
  const fault = (key: string, message: string): void => {
    faults.push({ path: placeOf(key), message });
  };
  const ways = [
    ["redis.url", redis.url !== null],
    ["redis.sentinels", redis.sentinels.length > 0],
    ["redis.cluster_nodes", redis.cluster_nodes.length > 0],
  ] as const;
  const [first, ...others] = ways.filter(([, given]) => given).map(([key]) => key);
  for (const key of others) fault(key, `both this and ${placeOf(first ?? "")} are set; keep one`);
  const hasSentinels = redis.sentinels.length > 0;
  if (hasSentinels && redis.sentinel_name === null)
    fault("redis.sentinel_name", "is missing: what the Sentinels call the master, often mymaster");
  for (const key of ["sentinel_name", "sentinel_password"] as const)
    if (!hasSentinels && redis[key] !== null)
      fault(`redis.${key}`, `is of no use without redis.sentinels (REDIS_SENTINELS)`);
  if (redis.cluster_nodes.length > 0 && redis.db !== 0)
    fault("redis.db", "expected 0: a cluster has no other database");
  return faults;
}
