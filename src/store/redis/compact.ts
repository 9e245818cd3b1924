import { createHash } from "node:crypto";
import { rowsName, type Backend } from "../contract.ts";
import type { RedisConnection } from "./connection.ts";
import type { Keys } from "./keys.ts";
import { countReply } from "./replies.ts";

/** Redis' and Lua's own limit of arguments to one call lies near 8,000. */
const pairsPerCall = 1_000;

/**
 * Puts columns in the place of blocks.
 *
 * KEYS: blocks of the day, columns of the day.
 * ARGV: Unix second of the expiry; name of the rows field; SHA-1 of its value, "" for none; number of blocks; of each
 * block its name and SHA-1; of each column its name and value.
 * Returns 1, or 0 without a change when a value is no longer as its SHA-1 says.
 */
const script = `
local function is(value, sha)
  if not value then return sha == "" end
  return redis.sha1hex(value) == sha
end
if not is(redis.call("HMGET", KEYS[2], ARGV[2])[1], ARGV[3]) then return 0 end
local count = tonumber(ARGV[4])
local names = {}
for i = 1, count do names[i] = ARGV[3 + 2 * i] end
if count > 0 then
  local values = redis.call("HMGET", KEYS[1], unpack(names))
  for i = 1, count do
    if not is(values[i], ARGV[4 + 2 * i]) then return 0 end
  end
end
for first = 5 + 2 * count, #ARGV, ${2 * pairsPerCall} do
  redis.call("HSET", KEYS[2], unpack(ARGV, first, math.min(first + ${2 * pairsPerCall - 1}, #ARGV)))
end
redis.call("EXPIREAT", KEYS[2], ARGV[1])
if count > 0 then redis.call("HDEL", KEYS[1], unpack(names)) end
return 1
`;

/** The same bytes as the client takes them. */
export function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}

function sha1(value: Uint8Array): string {
  return createHash("sha1").update(value).digest("hex");
}

/** The swap of a closed day. */
export function createCompact(connection: RedisConnection, keys: Keys): Backend["compact"] {
  return async (node, day, { blocks, rows, columns, expireAt }) => {
    const [done] = await connection.run([
      [
        "eval",
        script,
        2,
        keys.day("blocks", node, day),
        keys.day("columns", node, day),
        expireAt,
        rowsName,
        rows === null ? "" : sha1(rows),
        blocks.size,
        ...[...blocks].flatMap(([name, blob]) => [name, sha1(blob)]),
        ...[...columns].flatMap(([name, value]) => [name, bufferOf(value)]),
      ],
    ]);
    return countReply(done) === 1;
  };
}
