-- All keys and what they are the state of, unless the caller knows it already.
--
-- KEYS[1]  "{tiergate}:keys"; see commit.lua
-- ARGV[1]  the head that the caller knows; "?" where it knows none
--
-- Returns the head, the pepper's mark, the latest entry, and each key; the head alone where it is the caller's.

local call, base = redis.call, KEYS[1]
local head = call('GET', base .. ':head') or ''
if head == ARGV[1] then
  return { head }
end
local latest = call('XREVRANGE', base .. ':audit', '+', '-', 'COUNT', 1)
local entry = latest[1] and latest[1][2][2] or ''
return { head, call('GET', base .. ':mark') or '', entry, call('HVALS', base .. ':all') }
