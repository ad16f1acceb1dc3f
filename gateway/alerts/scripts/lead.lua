-- Says which process looks at the balances of budgets with alerts.
--
-- KEYS[1]  "{tiergate}:alerts"; what is kept lies under it:
--   <KEYS[1]>:leader   string: the process, until its lease ends
-- ARGV[1]  the process that asks
-- ARGV[2]  how many milliseconds it leads, where it does
--
-- Returns 1 where it is the one that asks, else 0.

local leader = KEYS[1] .. ':leader'
local leading = redis.call('GET', leader)
if leading and leading ~= ARGV[1] then
  return 0
end
redis.call('SET', leader, ARGV[1], 'PX', tonumber(ARGV[2]))
return 1
