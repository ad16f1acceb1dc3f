-- Gives back slot and holds of a reservation, nothing spent.
--
-- KEYS[1]  deadlines
-- ARGV[1]  id of the claim
--
-- Returns 1 if this call did it, 0 if the reservation is unknown or ended before. An unknown one is remembered as
-- released: where its reserve is still under way, it will find that and take nothing.

local id = ARGV[1]
local row = live(id)
if not row then
  call('SET', stem .. 'reservation:' .. id, 'released', 'EX', ENDED_SECONDS, 'NX')
  return 0
end
finish(id, row, 'released', {}, 0)
return 1
