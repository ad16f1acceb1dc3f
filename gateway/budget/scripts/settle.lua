-- Books what an attempt really cost, in the windows where its holds were made, and frees its slot.
--
-- KEYS[1]  deadlines
-- KEYS[2]  the reservation
-- ARGV[1]  stem of all keys
-- ARGV[2]  id of the claim
-- ARGV[3…] one amount per hold, in the order in which they were reserved
--
-- Returns 1 if this call did it, 0 if the reservation is unknown or ended before.

local row = live(KEYS[2])
if not row then
  return 0
end
finish(ARGV[1], ARGV[2], row, 'settled', {unpack(ARGV, 3)})
return 1
