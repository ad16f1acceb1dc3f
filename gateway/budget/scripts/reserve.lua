-- Takes a slot and every hold of one claim, or nothing.
--
-- KEYS[1]  deadlines
-- KEYS[2]  the reservation
-- KEYS[3]  the tier's slots; absent if the claim needs no slot
-- ARGV[1]  stem of all keys
-- ARGV[2]  id of the claim
-- ARGV[3]  life in microseconds
-- ARGV[4]  capacity of the slot; ignored without KEYS[3]
-- ARGV[5…] five per hold: window in seconds, amount, limit, account, owner
--
-- Returns {0} taken (now or before); {1, held} no slot; {2, index of the hold from 0, available, microseconds until
-- its window ends} no budget. A refusal writes nothing and touches no expiry; only overdue reservations, at most
-- SWEEP_MAX, are ended on the way. A spent budget is reported before a missing slot: waiting for a slot cannot help.

local SWEEP_MAX = 32

local stem, id = ARGV[1], ARGV[2]
local slots = KEYS[3]

sweep(stem, SWEEP_MAX)

if redis.call('EXISTS', KEYS[2]) == 1 then
  return {0}
end

local keys = {}
local fresh = {}
local wanted = {} -- by balance, since two holds of a claim may meet in one
for i = 5, #ARGV, 5 do
  local key = balance_key(stem, ARGV[i], ARGV[i + 3], ARGV[i + 4])
  local amount = tonumber(ARGV[i + 1])
  local balance = redis.call('HMGET', key, 'settled', 'held')
  local available = tonumber(ARGV[i + 2]) - tonumber(balance[1] or 0) - tonumber(balance[2] or 0) - (wanted[key] or 0)
  if amount > available then
    local window = tonumber(ARGV[i])
    return {2, (i - 5) / 5, available, (window_start(window) + window) * 1000000 - now}
  end
  fresh[#fresh + 1] = not balance[1] and not wanted[key]
  wanted[key] = (wanted[key] or 0) + amount
  keys[#keys + 1] = key
end

if slots then
  -- Counted by deadline: an overdue place is free even before its reservation is swept.
  local held = redis.call('ZCOUNT', slots, '(' .. whole(now), '+inf')
  if held >= tonumber(ARGV[4]) then
    return {1, held}
  end
end

local deadline = now + tonumber(ARGV[3])
local row = {'reserved', slots or ''}
for i, key in ipairs(keys) do
  local at = i * 5
  if fresh[i] then
    -- Set once, when the window's first hold is made: a busy owner must not keep an old window alive.
    local window = tonumber(ARGV[at])
    local gone = whole(window_start(window) + window + 2 * DAY)
    local owners = owners_key(stem, ARGV[at], ARGV[at + 3])
    redis.call('HSET', key, 'settled', '0', 'held', ARGV[at + 1])
    redis.call('EXPIREAT', key, gone)
    redis.call('SADD', owners, ARGV[at + 4])
    redis.call('EXPIREAT', owners, gone)
  else
    redis.call('HINCRBY', key, 'held', ARGV[at + 1])
  end
  row[#row + 1] = key
  row[#row + 1] = ARGV[at + 1]
end
redis.call('SET', KEYS[2], cmsgpack.pack(row), 'PXAT', whole(math.ceil(deadline / 1000) + DAY * 1000))
redis.call('ZADD', KEYS[1], whole(deadline), id)
if slots then
  redis.call('ZADD', slots, whole(deadline), id)
  -- A tier that nobody uses any more leaves nothing behind.
  redis.call('EXPIREAT', slots, whole(now_seconds + 2 * DAY))
end
return {0}
