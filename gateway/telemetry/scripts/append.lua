-- Appends records to the stream, and drops the oldest ones above a number.
--
-- An entry holds many records, and its id is their count since the stream began: entry "250-1" after "150-1" holds the
-- records 151 to 250. So the stream is trimmed, and read, by numbers of records.
--
-- KEYS[1]  the stream
-- ARGV[1]  records to keep, about
-- ARGV[2]  how many records these are
-- ARGV[3]  the records, one JSON line each
--
-- Returns the count.

local count = tonumber(ARGV[2])
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if last then
  count = count + tonumber(string.match(last[1], '^%d+'))
end
local oldest = math.max(0, count - tonumber(ARGV[1]))
redis.call('XADD', KEYS[1], 'MINID', '~', oldest, count .. '-1', 'record', ARGV[3])
return count
