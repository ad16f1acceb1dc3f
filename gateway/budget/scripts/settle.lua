-- Books what an attempt really cost, in the windows where its holds were made, and frees its slot.
--
-- KEYS[1]  deadlines
-- ARGV[1]  id of the claim
-- ARGV[2…] one amount per hold, in the order in which they were reserved
--
-- Returns 1 if this call did it, 0 if the reservation is unknown or ended before.

local id = ARGV[1]
local row = live(id)
if not row then
  return 0
end
finish(id, row, 'settled', ARGV, 1)
return 1
