-- Drops the oldest entries of the stream while all of their records are older than a moment.
--
-- KEYS[1]  the stream
-- ARGV[1]  the moment, in Unix seconds
-- ARGV[2]  how many entries to look at, at most
--
-- Returns how many were dropped; as many as asked for means that there may be more.

local dropped = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[2])) do
  -- Records of one entry ended within moments of each other: what the last one says is true of all.
  local newest = string.match(entry[2][2], '.*"received_unix":([%d.eE+-]+)')
  if newest and tonumber(newest) >= tonumber(ARGV[1]) then
    break
  end
  dropped[#dropped + 1] = entry[1]
end
if #dropped > 0 then
  redis.call('XDEL', KEYS[1], unpack(dropped))
end
return #dropped
