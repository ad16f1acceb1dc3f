-- A reservation and its end. Not a script of its own: the loader puts it in front of the verbs that end one.

local ENDED_SECONDS = 300 -- how long an ended reservation is remembered, see ledger.py

-- The list of a live reservation, or nil.
local function live(id)
  local packed = call('GET', stem .. 'reservation:' .. id)
  -- A packed list begins with a byte that no word has.
  if not packed or string.byte(packed) < 128 then
    return nil
  end
  return cmsgpack.unpack(packed)
end

-- Frees the slot, gives back what was held, and books `amounts[skip + i]` for hold i, nothing where that is nil;
-- without `amounts`, what was held.
-- A live reservation's balances always exist: it is kept one day past its deadline, they two past their window.
local function finish(id, row, how, amounts, skip)
  if row[1] ~= '' then
    call('ZREM', row[1], id)
  end
  call('ZREM', deadlines, id)
  for i = 2, #row, 2 do
    local key, held = row[i], row[i + 1]
    local spent = held
    if amounts then
      spent = amounts[skip + i / 2] or '0'
    end
    if held ~= '0' then
      call('HINCRBY', key, 'held', '-' .. held)
    end
    if spent ~= '0' then
      call('HINCRBY', key, 'settled', spent)
    end
  end
  call('SET', stem .. 'reservation:' .. id, how, 'EX', ENDED_SECONDS)
end

