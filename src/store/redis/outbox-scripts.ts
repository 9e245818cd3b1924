import { receiptsPerChannel, unsettledMark } from "../receipt.ts";

/** What `enqueue` returns. */
export const answers = { late: -1, full: -2, over: 0, waits: 1 } as const;

const now = `
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** A receipt that says that a message is over stays: what waited elsewhere may be older. */
const fileReceipt = `
local function isUnsettled(receipt) return string.find(receipt, '${unsettledMark}', 1, true) ~= nil end
local function file(order, receipts, id, receipt, createdAt, seconds)
  local known = redis.call("HMGET", receipts, id)[1]
  if known and isUnsettled(receipt) and not isUnsettled(known) then return end
  redis.call("HSET", receipts, id, receipt)
  redis.call("ZADD", order, createdAt, id)
  redis.call("EXPIRE", receipts, seconds)
  redis.call("EXPIRE", order, seconds)
  local excess = redis.call("ZCARD", order) - ${receiptsPerChannel}
  if excess > 0 then
    local oldest = redis.call("ZRANGE", order, 0, math.min(excess, 1000) - 1)
    redis.call("HDEL", receipts, unpack(oldest))
    redis.call("ZREM", order, unpack(oldest))
  end
end
`;

/**
 * Files a receipt.
 *
 * KEYS: ids of the channel's receipts by time; the receipts by id.
 * ARGV: id; receipt; time of the message; expiry in seconds.
 * Returns 1.
 */
export const put = `${fileReceipt}
file(KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4])
return 1
`;

/** Longer than any robot's rest. */
const longestMs = 2 * 3_600_000;

/** Jobs are remembered as over for at least a day, longer than anybody asks about them. */
const overSeconds = 50 * 3600;
const isOver = `
local function isOver(today, before, id)
  return redis.call("HMGET", today, id)[1] or redis.call("HMGET", before, id)[1]
end
`;

/**
 * Puts a job in, once.
 *
 * KEYS: ids of the queue by when they are due; the jobs by id; their ids in the order they came; what is over of today;
 * of the day before; ids of the channel's receipts by time; the receipts by id.
 * ARGV: time after which this has no effect; most jobs; expiry of the queue in seconds; that of receipts; id; job;
 * receipt; time of the message.
 * Returns one of the answers above.
 */
export const enqueue = `${now}${isOver}${fileReceipt}
if now > tonumber(ARGV[1]) then return ${answers.late} end
if redis.call("HMGET", KEYS[2], ARGV[5])[1] then return ${answers.waits} end
if isOver(KEYS[4], KEYS[5], ARGV[5]) then return ${answers.over} end
local known = redis.call("HMGET", KEYS[7], ARGV[5])[1]
if known and not isUnsettled(known) then return ${answers.over} end
if redis.call("ZCARD", KEYS[1]) >= tonumber(ARGV[2]) then return ${answers.full} end
redis.call("HSET", KEYS[2], ARGV[5], ARGV[6])
redis.call("ZADD", KEYS[1], now, ARGV[5])
redis.call("ZADD", KEYS[3], now, ARGV[5])
for at = 1, 3 do redis.call("EXPIRE", KEYS[at], ARGV[3]) end
file(KEYS[6], KEYS[7], ARGV[5], ARGV[7], ARGV[8], ARGV[4])
return ${answers.waits}
`;

/**
 * Takes jobs out that have arrived another way.
 *
 * KEYS: ids of the queue by when they are due; the jobs by id; their ids in the order they came; what is over of today.
 * ARGV: ids. Returns 1.
 */
export const remove = `
for _, id in ipairs(ARGV) do
  redis.call("ZREM", KEYS[1], id)
  redis.call("HDEL", KEYS[2], id)
  redis.call("ZREM", KEYS[3], id)
  redis.call("HSET", KEYS[4], id, 1)
end
redis.call("EXPIRE", KEYS[4], ${overSeconds})
return 1
`;

/**
 * Puts jobs off that cannot be read here: another agent may.
 *
 * KEYS: ids of the queue by when they are due. ARGV: how long; ids. Returns 1.
 */
export const putOff = `${now}
for at = 2, #ARGV do redis.call("ZADD", KEYS[1], "XX", now + ARGV[1], ARGV[at]) end
return 1
`;

/**
 * Takes the lead, or keeps it, when something is due; gives it up when nothing is.
 *
 * KEYS: ids of the queue by when they are due; who leads.
 * ARGV: who asks; how long the lead lasts; jobs due before this time are left alone; expiry in seconds.
 * Returns the fencing number, 0: no lead; then how long to wait before asking again, -1: nothing waits; then 1 when another
 * leads.
 */
export const lead = `${now}
local known = redis.call("HMGET", KEYS[2], "holder", "fence", "until")
local fence = tonumber(known[2] or 0)
-- The clock may have been set back since.
local ends = math.min(tonumber(known[3] or 0), now + ARGV[2])
local isMine = known[1] == ARGV[1]
local isDue = #redis.call("ZRANGEBYSCORE", KEYS[1], ARGV[3], now, "LIMIT", 0, 1) > 0
-- Nothing is put off for so long: the clock was set back since.
local isStranded = #redis.call("ZRANGEBYSCORE", KEYS[1], now + ${longestMs}, "+inf", "LIMIT", 0, 1) > 0
if not isDue and not isStranded then
  if isMine then redis.call("HSET", KEYS[2], "until", 0) end
  local later = redis.call("ZRANGEBYSCORE", KEYS[1], "(" .. now, "+inf", "WITHSCORES", "LIMIT", 0, 1)
  return {0, later[2] and math.max(1, math.ceil(later[2] - now)) or -1}
end
if not isMine and ends > now then return {0, ends - now, 1} end
if not isMine or ends <= now then fence = fence + 1 end
redis.call("HSET", KEYS[2], "holder", ARGV[1], "fence", fence, "until", string.format("%.0f", now + ARGV[2]))
redis.call("EXPIRE", KEYS[2], ARGV[4])
return {fence, 0}
`;

/**
 * Goes on leading, or ends it.
 *
 * KEYS: who leads. ARGV: who asks; its fencing number; how long the lead lasts from now on.
 * Returns 1, or 0 when another has taken it since.
 */
export const keep = `${now}
local known = redis.call("HMGET", KEYS[1], "holder", "fence")
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 0 end
redis.call("HSET", KEYS[1], "until", string.format("%.0f", now + ARGV[3]))
return 1
`;

/**
 * Reads jobs in the order they came.
 *
 * KEYS: ids of the queue by when they are due; the jobs by id; their ids in the order they came. ARGV: jobs due before this
 * time are left alone; how many.
 * Returns the server's time, then of each its id, when it is due and the job. What has no job any more is dropped.
 */
export const read = `${now}
local dues = {}
local found = redis.call("ZRANGEBYSCORE", KEYS[1], ARGV[1], "+inf", "WITHSCORES")
for at = 1, #found, 2 do dues[found[at]] = found[at + 1] end
local answer = {string.format("%.0f", now)}
local left = tonumber(ARGV[2])
for _, id in ipairs(redis.call("ZRANGE", KEYS[3], 0, -1)) do
  if left == 0 then break end
  local job = dues[id] and redis.call("HMGET", KEYS[2], id)[1]
  if job then
    answer[#answer + 1] = id
    answer[#answer + 1] = dues[id]
    answer[#answer + 1] = job
    left = left - 1
  elseif dues[id] then
    redis.call("ZREM", KEYS[1], id)
    redis.call("ZREM", KEYS[3], id)
  end
end
return answer
`;

/**
 * Settles jobs, all or, when another has taken the lead since, none.
 *
 * KEYS: ids of the queue by when they are due; the jobs by id; their ids in the order they came; what is over of today;
 * who leads; ids of the channel's receipts by time; the receipts by id.
 * ARGV: who asks; its fencing number; expiry of the queue in seconds; that of receipts; then of each job its id, when it
 * is to be tried again (-1: it is over), itself ("" then), its receipt and the time of its message.
 * Returns 1, or 0 when nothing was done.
 */
export const settle = `${now}${fileReceipt}
local known = redis.call("HMGET", KEYS[5], "holder", "fence")
if known[1] ~= ARGV[1] or known[2] ~= ARGV[2] then return 0 end
for at = 5, #ARGV, 5 do
  local id, again = ARGV[at], tonumber(ARGV[at + 1])
  if again < 0 then
    redis.call("ZREM", KEYS[1], id)
    redis.call("HDEL", KEYS[2], id)
    redis.call("ZREM", KEYS[3], id)
    redis.call("HSET", KEYS[4], id, 1)
    redis.call("EXPIRE", KEYS[4], ${overSeconds})
  elseif redis.call("HMGET", KEYS[2], id)[1] then
    redis.call("HSET", KEYS[2], id, ARGV[at + 2])
    redis.call("ZADD", KEYS[1], now + again, id)
    for key = 1, 3 do redis.call("EXPIRE", KEYS[key], ARGV[3]) end
  end
  file(KEYS[6], KEYS[7], id, ARGV[at + 3], ARGV[at + 4], ARGV[4])
end
return 1
`;
