-- Gives out alerts that are to be posted now. Who gets one has it for a while; if it is not finished by then, as when its
-- process was killed, another gets it.
--
-- KEYS[1]  "{tiergate}:alerts"; see note.lua
-- ARGV[1]  for how many milliseconds
-- ARGV[2]  how many at most
--
-- Returns for each its id, what is to be posted, and how often it was given out.

local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local due = KEYS[1] .. ':due'

local given = {}
for _, id in ipairs(call('ZRANGEBYSCORE', due, '-inf', string.format('%d', now), 'LIMIT', 0, tonumber(ARGV[2]))) do
  call('ZADD', due, string.format('%d', now + tonumber(ARGV[1])), id)
  local tries = call('HINCRBY', KEYS[1] .. ':tries', id, 1)
  local body = call('HGET', KEYS[1] .. ':pending', id)
  if body then
    table.insert(given, { id, body, tries })
  end
end
return given
