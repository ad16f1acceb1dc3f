-- Says how many scouts of a process are out, and lets more go as long as there are not too many over all processes.
--
-- A scout is a call that is let through to an endpoint whose workers sleep, so that it wakes one. What a process says
-- holds for a while, so that one that was killed leaves nothing behind for long. Times are milliseconds of the store's
-- clock.
--
-- Scouts that are back count for a moment more, in which the other processes hear what has become of the endpoint:
-- else one of them would send another to a worker that is on its way.
--
-- KEYS[1]  "{tiergate}:scouts"; what is kept lies under it:
--   <KEYS[1]>:<endpoint>   hash: process -> "<how many> <until when that holds>"; "back <process>" -> the same of scouts
--                          that are back
-- ARGV[1]  the endpoint
-- ARGV[2]  the process
-- ARGV[3]  how many of its scouts are out
-- ARGV[4]  how many more it wants
-- ARGV[5]  how many may be out over all processes, these included
-- ARGV[6]  for how long that holds
-- ARGV[7]  how many more were out until now
-- ARGV[8]  for how long these still count
--
-- Returns how many more may go. Asked twice with the same arguments it says the same twice.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local key = KEYS[1] .. ':' .. ARGV[1]
local own, wanted, most, life = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local back, counts = tonumber(ARGV[7]), tonumber(ARGV[8])

local function keep(field, count, time)
  redis.call('HSET', key, field, string.format('%d %d', count, now + time))
  if redis.call('PTTL', key) < time then
    redis.call('PEXPIRE', key, time)
  end
end

local others = 0
local kept = redis.call('HGETALL', key)
for i = 1, #kept, 2 do
  local count, till = string.match(kept[i + 1], '^(%d+) (%d+)$')
  if tonumber(till) <= now then
    redis.call('HDEL', key, kept[i])
  elseif kept[i] ~= ARGV[2] then
    others = others + tonumber(count)
  end
end

local granted = math.max(0, math.min(wanted, most - others - own))
if own + granted > 0 then
  keep(ARGV[2], own + granted, life)
else
  redis.call('HDEL', key, ARGV[2])
end
if back > 0 and counts > 0 then
  keep('back ' .. ARGV[2], back, counts)
end
return granted
