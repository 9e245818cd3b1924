import { aclRules } from "../store/redis/commands.ts";
import { isOld } from "../store/redis/server.ts";
import { failed, off, ok, warning, type Check, type Finding } from "./contract.ts";
import { networkFix } from "./network.ts";
import type { RedisFacts } from "./see-redis.ts";

const costs =
  "samples stay in memory and are lost with a restart, other nodes cannot be asked about this one, receipts are not kept";
/** A tick writes a handful of commands one after another; beyond this Redis is far away or overloaded. */
const slowMs = 100;
/** From here on it is soon full. */
const nearlyFull = 0.9;

function downFix(reason: string, prefix: string): string {
  if (/NOAUTH|WRONGPASS|invalid (?:username|password)|AUTH/i.test(reason))
    return "set redis.password (REDIS_PASSWORD, or REDIS_PASSWORD_FILE), and redis.username for an ACL user";
  if (/NOPERM/.test(reason)) return `ACL SETUSER <user> ${aclRules(prefix)}`;
  if (/redis\.(?:sentinels|host|cluster_nodes)/.test(reason)) return "as it says";
  if (/closed|ECONNRESET|RESP type|wrong version|SSL|packet/i.test(reason))
    return "that is no Redis, or TLS is spoken to a port without it or the other way round: redis.host and redis.port, redis.tls (REDIS_TLS)";
  return networkFix(reason, "redis.host and redis.port (REDIS_HOST, REDIS_PORT)");
}

function connection({ address, latencyMs, version, lacks }: RedisFacts): Finding {
  const found = `${address}, ${version === null ? "version not told" : `version ${version}`}, answers in ${latencyMs.toFixed(1)} ms`;
  if (version !== null && isOld(version))
    return failed("redis", { found, costs, fix: "Redis 6.2 or newer, or Valkey" });
  if (lacks["mode"] !== undefined)
    return failed("redis", {
      found: `${found}: ${lacks["mode"]}`,
      costs,
      fix: "redis.cluster_nodes (REDIS_CLUSTER_NODES) instead of redis.host",
    });
  if (latencyMs < slowMs) return ok("redis", found);
  return warning("redis", {
    found,
    costs: "samples are written late, and questions about other nodes take long",
    fix: "a Redis near this node; look at SLOWLOG and its CPU",
  });
}

function rights({ refused: probe, lacks }: RedisFacts, prefix: string): Finding {
  const refused = probe ?? lacks["rights"] ?? null;
  if (refused === null) return ok("redis.write", `keys below ${prefix}: can be written and read`);
  const full = /OOM/.test(refused);
  return failed("redis.write", {
    found: refused,
    costs,
    fix: full
      ? "Redis is full: raise maxmemory, or lower metrics.retention_days"
      : `ACL SETUSER <user> ${aclRules(prefix)}`,
  });
}

function memory({ maxMemory, usedMemory, policy }: RedisFacts): Finding {
  const name = "redis.memory";
  if (maxMemory === null || policy === null) return off(name, "INFO memory is not told");
  if (maxMemory === 0) return ok(name, "no maxmemory");
  const share = (usedMemory ?? 0) / maxMemory;
  const found = `maxmemory-policy ${policy}, ${Math.round(share * 100)} % of maxmemory in use`;
  if (policy === "volatile-ttl")
    return ok(name, `${found}; when it is full the oldest days go first`);
  if (policy !== "noeviction")
    return warning(name, {
      found,
      costs: "when Redis is full, states and the newest history may go, with no error to see",
      fix: "maxmemory-policy volatile-ttl (the oldest days go first) or noeviction, with enough maxmemory",
    });
  if (share < nearlyFull) return ok(name, found);
  const fix = "raise maxmemory, or lower metrics.retention_days";
  return warning(name, { found, costs: "Redis refuses samples when it is full", fix });
}

/** The store all nodes share. */
export const redis: Check = {
  name: "redis",
  doc: "Connection, login, version, latency; a probe key below the prefix is written, read and removed; eviction",
  costs,
  run: async (around) => {
    const seen = await around.redis();
    if (seen.kind === "off") return [off("redis", "storage.backend is not redis")];
    if (seen.kind === "down") {
      const { address, reason } = seen;
      const found = reason.includes(address) ? reason : `${address}: ${reason}`;
      return [failed("redis", { found, costs, fix: downFix(reason, around.config.redis.prefix) })];
    }
    return [connection(seen), rights(seen, around.config.redis.prefix), memory(seen)];
  },
};
