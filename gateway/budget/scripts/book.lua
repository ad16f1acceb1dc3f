-- Settles what may never have been reserved: a live reservation as `settle` does, an unknown one in the windows of now.
--
-- KEYS[1]  deadlines
-- ARGV[1]  id of the claim
-- ARGV[2…] four per hold: window, account, owner, limit; then one per hold, in the same order: amount
--
-- Returns 1 if this call did it, 0 if the id was ended before.

local id = ARGV[1]
local reservation = stem .. 'reservation:' .. id
local holds = (#ARGV - 1) / 5
local row = live(id)
if row then
  finish(id, row, 'settled', ARGV, 1 + 4 * holds)
  return 1
end
-- What was released was charged nothing: its attempt may have been let in afterwards without a reservation.
local ended = call('GET', reservation)
if ended and ended ~= 'released' then
  return 0
end
for hold = 1, holds do
  local i = 4 * hold - 2
  local text, amount = ARGV[i], ARGV[1 + 4 * holds + hold]
  if string.byte(text) == 33 then
    text = string.sub(text, 2)
  end
  local window, start, ends, step = window_of(text)
  local place = window .. ':' .. start .. ':' .. ARGV[i + 1]
  local key = stem .. 'balance:' .. place .. ':' .. ARGV[i + 2]
  local owners = stem .. 'owners:' .. place
  local field = ''
  if step then
    local _, _, state = rolled(key, ends - now_seconds, step)
    roll(key, owners, ARGV[i + 2], state, ends - now_seconds, step)
    field = (now_seconds - now_seconds % step) .. ':'
    call('HINCRBY', key, field .. 'held', '0')
  else
    call('HINCRBY', key, 'held', '0')
    call('EXPIREAT', key, ends + 2 * DAY)
    call('SADD', owners, ARGV[i + 2])
    call('EXPIREAT', owners, ends + 2 * DAY)
  end
  call('HINCRBY', key, 'settled', '0')
  add(key, field, 'settled', amount)
end
call('SET', reservation, 'settled', 'EX', DAY)
return 1
