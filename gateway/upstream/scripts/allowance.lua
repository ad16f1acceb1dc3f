-- Counts what a key has done within a minute, and says whether it may do it once more.
--
-- The minute begins with the first of them. What was refused does not count. Times are milliseconds.
--
-- KEYS[1]  "{tiergate}:wakes_ahead"; what is kept lies under it:
--   <KEYS[1]>:<key's name>   how often, until the minute is over
-- ARGV[1]  the key's name
-- ARGV[2]  how often it may
-- ARGV[3]  how long a minute is
--
-- Returns 0 where it may, else how long it is until the minute is over. Asked twice it counts twice.

local kept = KEYS[1] .. ':' .. ARGV[1]
if tonumber(redis.call('GET', kept) or '0') >= tonumber(ARGV[2]) then
  return math.max(1, redis.call('PTTL', kept))
end
if redis.call('INCR', kept) == 1 then
  redis.call('PEXPIRE', kept, ARGV[3])
end
return 0
