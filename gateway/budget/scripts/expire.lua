-- Ends overdue reservations: charged in full, since the endpoint may have done the work, and slots freed.
--
-- KEYS[1]  deadlines
-- ARGV[1]  how many to look at, at most
--
-- Returns {looked at, expired}; as many looked at as asked for means that there may be more.

local seen, expired = sweep(tonumber(ARGV[1]))
return {seen, expired}
