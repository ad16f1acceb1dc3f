-- Who waits for a slot first in the line of each process, so that none takes every slot that comes free. Not a script of
-- its own: the loader puts it in front of the verb that takes slots.
--
-- A process that gives a slot back can take it again at once, before another has asked. So whoever has asked in vain for
-- TURN_MICROSECONDS has the next turn, the longest first: the last free slot is kept for it.

local TURN_MICROSECONDS = 200000
local GONE_MICROSECONDS = 1000000 -- without having asked again: it gave up, or its process died
local LINES_SECONDS = 10

-- Whether another line than this one (nil for who stands in none) has the turn for the slots of that name.
local function is_anothers_turn(name, line)
  local key = stem .. 'lines:' .. name
  local all = call('HGETALL', key)
  local next_line, longest = nil, now - TURN_MICROSECONDS
  for i = 1, #all, 2 do
    local since, asked = string.match(all[i + 1], '^(%d+):(%d+)$')
    if tonumber(asked) < now - GONE_MICROSECONDS then
      call('HDEL', key, all[i])
    elseif tonumber(since) <= longest then
      next_line, longest = all[i], tonumber(since)
    end
  end
  return next_line and next_line ~= line
end

-- Notes that it asked in vain.
local function stand_in(name, line)
  local key = stem .. 'lines:' .. name
  local known = call('HGET', key, line)
  local moment = string.format('%d', now)
  call('HSET', key, line, (known and string.match(known, '^%d+') or moment) .. ':' .. moment)
  call('EXPIRE', key, LINES_SECONDS)
end

-- Its first has a slot: who is next there begins to wait.
local function leave(name, line)
  call('HDEL', stem .. 'lines:' .. name, line)
end

