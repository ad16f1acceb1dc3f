-- What every verb knows of a reservation. Not a script of its own: the loader puts it in front of each verb.
--
-- Keys, all under one hash tag (`stem` is "{tiergate}:"), so that a cluster keeps them in one slot:
--   <stem>reservation:<id>                                      string: a packed list, see below
--   <stem>deadlines                                             sorted set: id -> deadline
--   <stem>slots:<tier>                                          sorted set: id -> deadline
--   <stem>balance:<window>:<window start>:<account>:<owner>     hash: settled, held
--   <stem>owners:<window>:<window start>:<account>              set: owners that have a balance in this window
-- An account is <unit>:<bytes of the budget's name>:<budget's name>. The length makes the border to the owner
-- unmistakable, and the owner comes last, so it may hold any text.
--
-- A live reservation is packed as {"reserved", slot key or "", balance key, amount, balance key, amount, ...}, an ended
-- one as {how it ended}. Amounts travel as decimal strings: Lua's numbers are exact only up to 2^53.
-- Times are microseconds since 1970 by the store's own clock; windows are whole seconds.

local DAY = 86400
local ENDED_SECONDS = 300 -- how long an ended reservation is remembered, see ledger.py

local clock = redis.call('TIME')
local now_seconds = tonumber(clock[1])
local now = now_seconds * 1000000 + tonumber(clock[2])

-- Lua itself writes only 14 digits of a number; microseconds since 1970 have 16.
local function whole(number)
  return string.format('%.0f', number)
end

-- The packed list of a live reservation, or nil.
local function live(key)
  local packed = redis.call('GET', key)
  if not packed then
    return nil
  end
  local row = cmsgpack.unpack(packed)
  if row[1] ~= 'reserved' then
    return nil
  end
  return row
end

-- Frees the slot, gives back what was held, and books `booked[i]` for hold i; without `booked`, what was held.
-- A live reservation's balances always exist: it is kept one day past its deadline, they two past their window.
local function finish(stem, id, row, how, booked)
  if row[2] ~= '' then
    redis.call('ZREM', row[2], id)
  end
  redis.call('ZREM', stem .. 'deadlines', id)
  for i = 3, #row, 2 do
    local held = row[i + 1]
    local spent = held
    if booked then
      spent = booked[(i - 1) / 2]
    end
    if held ~= '0' then
      redis.call('HINCRBY', row[i], 'held', '-' .. held)
    end
    if spent ~= '0' then
      redis.call('HINCRBY', row[i], 'settled', spent)
    end
  end
  redis.call('SET', stem .. 'reservation:' .. id, cmsgpack.pack({how}), 'EX', ENDED_SECONDS)
end

-- Expires at most `most` overdue reservations: charged in full, slot freed. Returns how many it looked at and how
-- many of these it expired.
local function sweep(stem, most)
  local overdue = redis.call('ZRANGEBYSCORE', stem .. 'deadlines', '-inf', whole(now), 'LIMIT', 0, most)
  local expired = 0
  for _, id in ipairs(overdue) do
    local row = live(stem .. 'reservation:' .. id)
    if row then
      finish(stem, id, row, 'expired', nil)
      expired = expired + 1
    else
      redis.call('ZREM', stem .. 'deadlines', id)
    end
  end
  return #overdue, expired
end

local function window_start(window)
  return now_seconds - now_seconds % window
end

local function balance_key(stem, window, account, owner)
  return stem .. 'balance:' .. window .. ':' .. whole(window_start(tonumber(window))) .. ':' .. account .. ':' .. owner
end

local function owners_key(stem, window, account)
  return stem .. 'owners:' .. window .. ':' .. whole(window_start(tonumber(window))) .. ':' .. account
end
