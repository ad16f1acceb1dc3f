-- Where things lie. Not a script of its own: the loader puts it in front of each verb.
--
-- Keys, all under one hash tag (`stem` is "{tiergate}:"), so that a cluster keeps them in one slot:
--   <stem>reservation:<id>                                string: see below
--   <stem>deadlines                                       sorted set: id -> deadline
--   <stem>slots:<tier, or what owner_slot makes>          sorted set: id -> end of the lease
--   <stem>lines:<as slots>                                hash: name of a process's line -> since when it waits:last asked
--   <stem>balance:<window>:<start>:<account>:<owner>      hash: settled, held; of a rolling window see below
--   <stem>owners:<window>:<start>:<account>               set: owners that have a balance in this window
-- A window is its length in seconds where it begins at multiples of it, "c<unit>@<zone>" of a calendar, "r<seconds>" of
-- a rolling one, whose start is 0 and whose hash has more fields, see window.lua.
-- An account is <unit>:<bytes of the budget's name>:<budget's name>. The length makes the border to the owner
-- unmistakable, and the owner comes last, so it may hold any text.
--
-- A live reservation is the packed list {{slot key, ...}, balance key, amount, field, balance key, amount, field, ...},
-- where a field is what "held" and "settled" begin with in the hash, an ended one the word for how it ended. Amounts
-- travel as decimal strings: Lua's numbers are exact only up to 2^53.
-- Times are microseconds since 1970 by the store's own clock; windows are whole seconds.
--
-- Every verb gets one key, the deadlines: it tells a cluster where all keys live, and holds the stem.

local call = redis.call
local deadlines = KEYS[1]
local stem = string.sub(deadlines, 1, -10)

