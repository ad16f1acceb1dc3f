-- The latest entries of the audit log, the newest first.
--
-- KEYS[1]  "{tiergate}:keys"; see commit.lua
-- ARGV[1]  how many at most
--
-- Returns the head, and the entries.

local call, base = redis.call, KEYS[1]
local entries = {}
for _, each in ipairs(call('XREVRANGE', base .. ':audit', '+', '-', 'COUNT', tonumber(ARGV[1]))) do
  table.insert(entries, each[2][2])
end
return { call('GET', base .. ':head') or '', entries }
