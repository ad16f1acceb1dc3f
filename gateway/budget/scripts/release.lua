-- Gives back slot and holds of a reservation, nothing spent.
--
-- KEYS[1]  deadlines
-- KEYS[2]  the reservation
-- ARGV[1]  stem of all keys
-- ARGV[2]  id of the claim
--
-- Returns 1 if this call did it, 0 if the reservation is unknown or ended before. An unknown one is remembered as
-- released: where its reserve is still under way, it will find that and take nothing.

local row = live(KEYS[2])
if not row then
  redis.call('SET', KEYS[2], cmsgpack.pack({'released'}), 'EX', ENDED_SECONDS, 'NX')
  return 0
end
local nothing = {}
for i = 3, #row, 2 do
  nothing[#nothing + 1] = '0'
end
finish(ARGV[1], ARGV[2], row, 'released', nothing)
return 1
