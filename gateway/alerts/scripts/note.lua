-- Notes the parts that budgets are spent to, and puts those that are news among the alerts that wait to be posted.
--
-- A part of a window with an end stays noted for as long as it is said to; one of a rolling window until a call does not
-- name it, which is when less than that is spent again. Each call names all parts that are reached.
--
-- KEYS[1]  "{tiergate}:alerts"; what is kept lies under it:
--   <KEYS[1]>:noted:<part>   string: the alert's id, until the window is over
--   <KEYS[1]>:rolling        hash: part -> the alert's id
--   <KEYS[1]>:pending        hash: the alert's id -> what is to be posted
--   <KEYS[1]>:due            sorted set: the alert's id, by the millisecond from which it may be posted
--   <KEYS[1]>:tries          hash: the alert's id -> how often that was tried
-- ARGV[1]  how many alerts may wait
-- ARGV[2]… four for each part: its name; for how many milliseconds it stays noted, 0 in a rolling window; the alert's id;
--          what is to be posted
--
-- Returns how many were news. A part for whose alert there is no room is not noted. Asked twice with the same arguments
-- it says the same twice.

local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local pending, rolling = KEYS[1] .. ':pending', KEYS[1] .. ':rolling'

local function note(part, life, id)
  if life == 0 then
    call('HSETNX', rolling, part, id)
    return call('HGET', rolling, part) == id
  end
  local noted = KEYS[1] .. ':noted:' .. part
  call('SET', noted, id, 'PX', life, 'NX')
  return call('GET', noted) == id
end

local news = 0
local named = {}
for i = 2, #ARGV, 4 do
  local part, life, id = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  named[part] = true
  local room = call('HEXISTS', pending, id) == 1 or call('HLEN', pending) < tonumber(ARGV[1])
  if room and note(part, life, id) then
    call('HSET', pending, id, ARGV[i + 3])
    call('ZADD', KEYS[1] .. ':due', 'NX', string.format('%d', now), id)
    news = news + 1
  end
end
for _, part in ipairs(call('HKEYS', rolling)) do
  if not named[part] then
    call('HDEL', rolling, part)
  end
end
return news
