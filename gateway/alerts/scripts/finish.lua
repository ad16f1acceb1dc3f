-- Says what became of an alert that was given out.
--
-- KEYS[1]  "{tiergate}:alerts"; see note.lua
-- ARGV[1]  its id
-- ARGV[2]  in how many milliseconds it is to be tried again; below 0 never
--
-- Returns 1. Asked twice with the same arguments it does the same twice.

local call = redis.call
local id, wait = ARGV[1], tonumber(ARGV[2])
if wait < 0 then
  call('ZREM', KEYS[1] .. ':due', id)
  call('HDEL', KEYS[1] .. ':pending', id)
  call('HDEL', KEYS[1] .. ':tries', id)
else
  local clock = call('TIME')
  local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
  call('ZADD', KEYS[1] .. ':due', 'XX', string.format('%d', now + wait), id)
end
return 1
