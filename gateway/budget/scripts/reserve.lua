-- Takes a slot and every hold of one claim, or nothing.
--
-- KEYS[1]  deadlines
-- ARGV[1]  id of the claim
-- ARGV[2]  life in microseconds
-- ARGV[3]  capacity of the slot; empty if the claim needs none
-- ARGV[4]  tier of the slot
-- ARGV[5…] four per hold: window in seconds, account, owner, limit; then one per hold, in the same order: amount
--
-- Returns 0 taken (now or before); {1, held} no slot; {2, index of the hold from 0, available, microseconds until
-- its window ends} no budget. A refusal writes nothing and touches no expiry; only overdue reservations, at most
-- SWEEP_MAX, are ended on the way. A spent budget is reported before a missing slot: waiting for a slot cannot help.

local SWEEP_MAX = 32

local id = ARGV[1]
local capacity = tonumber(ARGV[3])
local reservation = stem .. 'reservation:' .. id

sweep(SWEEP_MAX)

if call('EXISTS', reservation) == 1 then
  return 0
end

local row = {''}
local fresh = {} -- by hold, where it is the first of its balance: window's place, time when the balance may go
local wanted = {} -- by balance, since two holds of a claim may meet in one
local holds = (#ARGV - 4) / 5
local amounts = 4 + 4 * holds -- the amount of hold h, counted from 1, is ARGV[amounts + h]
for hold = 1, holds do
  local i = 1 + 4 * hold
  local window, amount = tonumber(ARGV[i]), tonumber(ARGV[amounts + hold])
  local start = now_seconds - now_seconds % window
  local place = ARGV[i] .. ':' .. start .. ':' .. ARGV[i + 1]
  local key = stem .. 'balance:' .. place .. ':' .. ARGV[i + 2]
  local balance = call('HMGET', key, 'settled', 'held')
  local before = wanted[key]
  local available = tonumber(ARGV[i + 3]) - tonumber(balance[1] or 0) - tonumber(balance[2] or 0) - (before or 0)
  if amount > available then
    return {2, hold - 1, available, (start + window) * 1000000 - now}
  end
  if not balance[1] and not before then
    fresh[hold] = {place, start + window + 2 * DAY}
  end
  wanted[key] = (before or 0) + amount
  row[2 * hold] = key
  row[2 * hold + 1] = ARGV[amounts + hold]
end

if capacity then
  row[1] = stem .. 'slots:' .. ARGV[4]
  -- Counted by deadline: an overdue place is free even before its reservation is swept.
  local held = call('ZCOUNT', row[1], now + 1, '+inf')
  if held >= capacity then
    return {1, held}
  end
end

local deadline = now + tonumber(ARGV[2])
for hold = 1, holds do
  local key, amount = row[2 * hold], row[2 * hold + 1]
  if fresh[hold] then
    -- Set once, when the window's first hold is made: a busy owner must not keep an old window alive.
    local owners, gone = stem .. 'owners:' .. fresh[hold][1], fresh[hold][2]
    call('HSET', key, 'settled', '0', 'held', amount)
    call('EXPIREAT', key, gone)
    call('SADD', owners, ARGV[3 + 4 * hold])
    call('EXPIREAT', owners, gone)
  elseif amount ~= '0' then
    call('HINCRBY', key, 'held', amount)
  end
end
call('SET', reservation, cmsgpack.pack(row), 'PXAT', math.ceil(deadline / 1000) + DAY * 1000)
call('ZADD', deadlines, deadline, id)
if capacity then
  call('ZADD', row[1], deadline, id)
  -- A tier that nobody uses any more leaves nothing behind.
  call('EXPIREAT', row[1], now_seconds + 2 * DAY)
end
return 0
