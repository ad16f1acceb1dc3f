-- Keeps the slots of live reservations for another lease, but not beyond their lives.
--
-- KEYS[1]  deadlines
-- ARGV[1]  lease in microseconds
-- ARGV[2…] ids of claims
--
-- Returns how many of them were live.

local renewed = 0
for i = 2, #ARGV do
  local id = ARGV[i]
  local deadline = call('ZSCORE', deadlines, id)
  local row = deadline and tonumber(deadline) > now and live(id)
  if row then
    renewed = renewed + 1
    for _, key in ipairs(row[1]) do
      call('ZADD', key, math.min(now + tonumber(ARGV[1]), tonumber(deadline)), id)
      call('EXPIREAT', key, now_seconds + 2 * DAY)
    end
  end
end
return renewed
