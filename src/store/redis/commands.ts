/** What one command is needed for; a command that is not here cannot be sent. */
const needs = {
  hset: "blocks, tiers, states, documents, messages, receipts, silences, acknowledgements",
  hsetnx: "a schema's number is taken once, and a key for links is made once",
  hmget: "blocks, schemas, documents; the script looks whether a day is as it was read",
  hgetall: "alert states, tiers, silences, acknowledgements, keys for links",
  hkeys: "what there is of a day",
  hdel: "states, silences and acknowledgements that are over, old keys for links, blocks that were compacted",
  expire: "every key goes by itself",
  expireat: "a day goes as a whole",
  zadd: "when nodes and channels were last seen, when messages are due and robots were sent to",
  zcard: "how many receipts and messages there are",
  zrange: "the oldest receipts",
  zrevrange: "the newest receipts",
  zrangebyscore: "the nodes of the retention, messages of the last minute",
  zrem: "nodes and receipts that are gone",
  zremrangebyscore: "channels without receipts, messages that count no more",
  zremrangebyrank: "no more than so many channels",
  eval: "a compacted day replaces its blocks at once; messages are settled with their receipts, and counted",
} as const;

/** A command of the store; each name is one right of an ACL. */
export type CommandName = keyof typeof needs;

/** What the store itself never sends: for the connection, and to tell what is wrong with a server. */
const ofConnection = {
  ping: "whether it answers",
  info: "what it is; without it, it is not told that the server lacks something",
  select: "a database other than 0",
  time: "how far the clocks are apart, and when a robot may be sent to; without it, that is not told, and each agent meters robots alone",
  "cluster|slots": "in a cluster: where the keys are",
  asking: "in a cluster: while a slot is on its way to another node",
} as const;

/** A command as it is sent; a name that ends in `Buffer` has its reply as bytes. */
export type RedisCommand = readonly [
  name: CommandName | `${CommandName}Buffer` | "ping" | "info" | "time" | "asking",
  ...args: readonly (string | number | Buffer)[],
];

/** Every right with what it is for. */
export const rights: Readonly<Record<string, string>> = { ...needs, ...ofConnection };

/** The rules of an ACL user that may do what the agent does, and nothing else. */
export function aclRules(prefix: string): string {
  const commands = Object.keys(rights).map((name) => `+${name}`);
  return ["resetkeys", `~${prefix}:*`, "resetchannels", "-@all", ...commands].join(" ");
}

/** The name as an ACL and an error of Redis write it. */
export function bareName(name: string): string {
  return name.replace(/Buffer$/, "");
}

/** Where the key stands in each command; a script's comes after its text and the number of keys. */
function keyOf([name, ...args]: RedisCommand): string | null {
  const key = name.startsWith("eval") ? args[2] : args[0];
  return /^(ping|info|time|asking)$/.test(name) || key === undefined ? null : String(key);
}

/** What of a key decides about its slot in a cluster: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags */
function hashed(key: string): string {
  return /\{([^}]+)\}/.exec(key)?.[1] ?? key;
}

/**
 * What decides where commands go; null: any server does. Throws a TypeError when they do not all belong together: on a
 * single server nobody would notice.
 */
export function placeOf(commands: readonly RedisCommand[]): string | null {
  let place: string | null = null;
  for (const command of commands) {
    const key = keyOf(command);
    if (key === null) continue;
    const own = hashed(key);
    if (place !== null && place !== own)
      throw new TypeError(`commands of several slots: {${place}} and {${own}}`);
    place = own;
  }
  return place;
}

/** About how many bytes commands take. */
export function sizeOf(commands: readonly RedisCommand[]): number {
  let bytes = 0;
  for (const [, ...args] of commands)
    for (const arg of args) bytes += typeof arg === "number" ? 8 : arg.length;
  return bytes;
}

/**
 * Commands that use every right once, on keys that are gone afterwards and would go by themselves. A refusal of one
 * leaves the others as they are.
 */
export function trial(prefix: string, id: string): readonly RedisCommand[] {
  const [hash, set] = [`${prefix}:trial:{${id}}:h`, `${prefix}:trial:{${id}}:z`];
  return [
    ["hset", hash, "a", "1"],
    ["expire", hash, 30],
    ["expireat", hash, 4_102_444_800],
    ["expire", hash, 30],
    ["hsetnx", hash, "b", "2"],
    ["hmget", hash, "a", "b"],
    ["hgetall", hash],
    ["hkeys", hash],
    ["zadd", set, 1, "a", 2, "b", 3, "c", 4, "d"],
    ["expire", set, 30],
    ["zcard", set],
    ["zrange", set, 0, 0],
    ["zrevrange", set, 0, 0],
    ["zrangebyscore", set, 1, 1],
    ["eval", "return 0", 1, hash],
    ["zremrangebyscore", set, 2, 2],
    ["zremrangebyrank", set, -1, -1],
    ["zrem", set, "a", "c"],
    ["hdel", hash, "a", "b"],
  ];
}
