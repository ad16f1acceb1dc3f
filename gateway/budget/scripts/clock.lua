-- The store's time. Not a script of its own: the loader puts it in front of the verbs that need it.
--
-- `redis.call` writes these numbers whole; `..` does so only up to 14 digits, enough for seconds.

local DAY = 86400

local clock = call('TIME')
local now_seconds = tonumber(clock[1])
local now = now_seconds * 1000000 + tonumber(clock[2])

