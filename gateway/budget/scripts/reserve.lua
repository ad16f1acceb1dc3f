-- Takes all slots and every hold of one claim, or nothing.
--
-- KEYS[1]  deadlines
-- ARGV[1]  id of the claim
-- ARGV[2]  life in microseconds
-- ARGV[3]  lease of the slots in microseconds
-- ARGV[4]  how many slots; of who stands first in a line for the first of them, ":" and the line's name behind it
-- ARGV[5…] two per slot: capacity, name; then four per hold: window, account, owner, limit; then one per hold, in the
--          same order: amount. A window that begins with "!" is a budget's that only reports.
--
-- Returns 0 taken (now or before); {0, index of a hold from 0, …} taken, though these budgets that only report had not
-- enough left; {1, held, index of the slot from 0} no slot; {2, index of the hold, available, microseconds until more
-- is left} no budget. A refusal writes nothing and touches no expiry; only overdue reservations, at most SWEEP_MAX, are
-- ended on the way, and who stands first in a line is noted. A spent budget is reported before a missing slot: waiting
-- for a slot cannot help.

local SWEEP_MAX = 32

local id = ARGV[1]
local reservation = stem .. 'reservation:' .. id

sweep(SWEEP_MAX)

if call('EXISTS', reservation) == 1 then
  return 0
end

local slots = {}
local row = {slots}
local fresh = {} -- by hold, where it is the first of its balance: window's place, time when the balance may go
local wanted = {} -- by balance, since two holds of a claim may meet in one
local answer = 0
local places, line = tonumber(ARGV[4]), nil
if not places then
  places, line = string.match(ARGV[4], '^(%d+):(.+)$')
  places = tonumber(places)
end
local first = 4 + 2 * places -- hold h, counted from 1, begins after ARGV[first + 4 * (h - 1)]
local holds = (#ARGV - first) / 5
local amounts = first + 4 * holds -- the amount of hold h is ARGV[amounts + h]
for hold = 1, holds do
  local i = first + 4 * hold - 3
  local text, amount = ARGV[i], tonumber(ARGV[amounts + hold])
  local reports = string.byte(text) == 33
  if reports then
    text = string.sub(text, 2)
  end
  local window, start, ends, step = window_of(text)
  local place = window .. ':' .. start .. ':' .. ARGV[i + 1]
  local key = stem .. 'balance:' .. place .. ':' .. ARGV[i + 2]
  local before = wanted[key] or 0
  local settled, held, field, known, state
  if step then
    settled, held, state = rolled(key, ends - now_seconds, step)
    field = (now_seconds - now_seconds % step) .. ':'
  else
    local balance = call('HMGET', key, 'settled', 'held')
    settled, held, field, known = tonumber(balance[1] or 0), tonumber(balance[2] or 0), '', balance[1]
  end
  local available = tonumber(ARGV[i + 3]) - settled - held - before
  if amount > available then
    if reports then
      if answer == 0 then
        answer = {0}
      end
      answer[#answer + 1] = hold - 1
    elseif step then
      return {2, hold - 1, available, free_in(key, ends - now_seconds, step, amount - available) * 1000000}
    else
      return {2, hold - 1, available, ends * 1000000 - now}
    end
  end
  if not (known or wanted[key]) then
    fresh[hold] = {place, ends, step, state}
  end
  wanted[key] = before + amount
  row[3 * hold - 1] = key
  row[3 * hold] = ARGV[amounts + hold]
  row[3 * hold + 1] = field
end

for slot = 1, places do
  local name, capacity = ARGV[4 + 2 * slot], tonumber(ARGV[3 + 2 * slot])
  local key = stem .. 'slots:' .. name
  -- Counted by lease: an overdue place is free even before its reservation is swept.
  local held = call('ZCOUNT', key, now + 1, '+inf')
  if held >= capacity or (slot == 1 and held == capacity - 1 and is_anothers_turn(name, line)) then
    if slot == 1 and line then
      stand_in(name, line)
    end
    return {1, held, slot - 1}
  end
  slots[slot] = key
end
if line then
  leave(ARGV[6], line)
end

local deadline = now + tonumber(ARGV[2])
for hold = 1, holds do
  local key, amount, field = row[3 * hold - 1], row[3 * hold], row[3 * hold + 1]
  if fresh[hold] then
    local place, ends, step, state = unpack(fresh[hold], 1, 4)
    local owners, owner = stem .. 'owners:' .. place, ARGV[first + 4 * hold - 1]
    if step then
      roll(key, owners, owner, state, ends - now_seconds, step)
    else
      -- Set once, when the window's first hold is made: a busy owner must not keep an old window alive.
      call('HSET', key, 'settled', '0', 'held', '0')
      call('EXPIREAT', key, ends + 2 * DAY)
      call('SADD', owners, owner)
      call('EXPIREAT', owners, ends + 2 * DAY)
    end
  end
  if field ~= '' and amount == '0' then
    -- Its bucket must be there when it is settled.
    call('HINCRBY', key, field .. 'held', '0')
  end
  add(key, field, 'held', amount)
end
call('SET', reservation, cmsgpack.pack(row), 'PXAT', math.ceil(deadline / 1000) + DAY * 1000)
call('ZADD', deadlines, deadline, id)
local lease = math.min(now + tonumber(ARGV[3]), deadline)
for _, key in ipairs(slots) do
  call('ZADD', key, lease, id)
  -- A tier that nobody uses any more leaves nothing behind.
  call('EXPIREAT', key, now_seconds + 2 * DAY)
end
return answer
