-- Ends overdue reservations: charged in full, since the endpoint may have done the work, and slots freed.
--
-- KEYS[1]  deadlines
-- ARGV[1]  stem of all keys
-- ARGV[2]  how many to look at, at most
--
-- Returns {looked at, expired}; as many looked at as asked for means that there may be more.

local seen, expired = sweep(ARGV[1], tonumber(ARGV[2]))
return {seen, expired}
