import { randomUUID } from "node:crypto";
import type { Meter, RateLimit } from "../../core/delivery.ts";
import { longestWindowMs } from "../../base/window.ts";
import type { RedisConnection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { numbersReply } from "./replies.ts";

/**
 * A message on its way counts as if its reply came last of all, until it comes: the notifier cuts every one off after
 * ten seconds. So the windows hold also when whoever sends it dies.
 */
const onItsWayMs = 10_000;

/** The keys of a robot outlive its longest window, and the day it counts. */
const expireSeconds = 2 * 86_400;

/**
 * All by the server's clock.
 *
 * KEYS: departures of the robot; how long it is closed, and the messages of a day.
 * ARGV: id of the message, "" to look only; how long it counts as on its way; the longest window; expiry in seconds;
 * then of each limit its count and window.
 * Returns: how long to wait before asking again (what is on its way most often arrives at once), messages left (-1: no limit), messages of today.
 */
const take = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call("HMGET", KEYS[2], "closed", "day", "sent")
local closed = tonumber(known[1] or 0)
local day = math.floor(now / 86400000)
local sent = tonumber(known[2] or -1) == day and tonumber(known[3]) or 0
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - ARGV[3])
local wait = math.max(0, closed - now)
local left = -1
for at = 5, #ARGV, 2 do
  local count, per = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  local recent = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. (now - per), "+inf", "WITHSCORES")
  local length = #recent / 2
  local free = math.max(0, count - length)
  if left < 0 or free < left then left = free end
  if free == 0 then
    local counted = math.min(now, tonumber(recent[2 * (length - count + 1)]))
    wait = math.max(wait, counted + per - now)
  end
end
if closed > now then left = 0 end
if wait > 0 or ARGV[1] == "" then return {wait, left, sent} end
redis.call("ZADD", KEYS[1], now + ARGV[2], ARGV[1])
redis.call("HSET", KEYS[2], "day", day, "sent", sent + 1)
for _, key in ipairs(KEYS) do redis.call("EXPIRE", key, ARGV[4]) end
return {0, left, sent + 1}
`;

/** KEYS as above; ARGV: id of the message. Returns 0. */
const arrive = `
local time = redis.call("TIME")
redis.call("ZADD", KEYS[1], "XX", time[1] * 1000 + math.floor(time[2] / 1000), ARGV[1])
return 0
`;

/** KEYS as above; ARGV: how long it is closed; expiry in seconds. Returns 0. */
const close = `
local time = redis.call("TIME")
local untilMs = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local closed = tonumber(redis.call("HMGET", KEYS[2], "closed")[1] or 0)
redis.call("HSET", KEYS[2], "closed", string.format("%.0f", math.max(closed, untilMs)))
redis.call("EXPIRE", KEYS[2], ARGV[2])
return 0
`;

/** Counts what all agents that share a Redis send. */
export function createRedisMeter(connection: RedisConnection, keys: Keys): Meter {
  const run = async (
    script: string,
    robot: string,
    ...args: readonly (string | number)[]
  ): Promise<unknown> => {
    const [departures, known] = [keys.departures(robot), keys.robot(robot)];
    return (await connection.run([["eval", script, 2, departures, known, ...args]]))[0];
  };
  const ask = async (
    id: string,
    robot: string,
    limits: readonly RateLimit[],
  ): Promise<readonly [waitMs: number, left: number, today: number]> => {
    const flat = limits.flatMap(({ count, perMs }) => [count, perMs]);
    const about = [id, onItsWayMs, longestWindowMs, expireSeconds];
    const [waitMs = 0, left = 0, today = 0] = numbersReply(
      await run(take, robot, ...about, ...flat),
    );
    return [waitMs, left, today];
  };
  return {
    take: async (robot, limits) => {
      const id = randomUUID();
      const [waitMs] = await ask(id, robot, limits);
      return waitMs > 0 ? { waitMs } : { arrived: async () => void (await run(arrive, robot, id)) };
    },
    hold: async (robot, ms) => void (await run(close, robot, Math.ceil(ms), expireSeconds)),
    budget: async (robot, limits) => {
      const [, left, today] = await ask("", robot, limits);
      return { left: left < 0 ? null : left, today };
    },
  };
}
