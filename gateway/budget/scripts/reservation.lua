-- A reservation and its end. Not a script of its own: the loader puts it in front of the verbs that end one.

local ENDED_SECONDS = 300 -- how long an ended reservation is remembered, see ledger.py
local EXPIRED_SECONDS = 86400 -- an expired one: its settlement may still be on its way from a journal

-- The list of a live reservation, or nil.
local function live(id)
  local packed = call('GET', stem .. 'reservation:' .. id)
  -- A packed list begins with a byte that no word has.
  if not packed or string.byte(packed) < 128 then
    return nil
  end
  local row = cmsgpack.unpack(packed)
  if type(row[1]) == 'string' then
    -- Written by a gateway that knew one slot and no fields.
    local now_known = {row[1] ~= '' and {row[1]} or {}}
    for i = 2, #row, 2 do
      now_known[#now_known + 1] = row[i]
      now_known[#now_known + 1] = row[i + 1]
      now_known[#now_known + 1] = ''
    end
    return now_known
  end
  return row
end

-- Adds to what is settled or held; in a rolling window to the sum and to the bucket.
local function add(key, field, what, amount)
  if amount == '0' or amount == '-0' then
    return
  end
  call('HINCRBY', key, what, amount)
  if field ~= '' then
    call('HINCRBY', key, field .. what, amount)
  end
end

-- Whether the bucket of a rolling window is still there: what ends after it went changes nothing in the window.
local function still_counts(key, field)
  local first = call('HGET', key, 'first')
  return first and tonumber(first) <= tonumber(string.sub(field, 1, -2))
end

-- Frees the slots, gives back what was held, and books `amounts[skip + i]` for hold i, nothing where that is nil;
-- without `amounts`, what was held.
-- A live reservation's balances always exist: it is kept one day past its deadline, they two past their window.
local function finish(id, row, how, amounts, skip)
  for _, slots in ipairs(row[1]) do
    call('ZREM', slots, id)
  end
  call('ZREM', deadlines, id)
  for i = 2, #row, 3 do
    local key, held, field = row[i], row[i + 1], row[i + 2]
    local spent = held
    if amounts then
      spent = amounts[skip + (i + 1) / 3] or '0'
    end
    if field ~= '' and not still_counts(key, field) then
      held, spent = '0', '0'
    end
    add(key, field, 'held', '-' .. held)
    add(key, field, 'settled', spent)
  end
  call('SET', stem .. 'reservation:' .. id, how, 'EX', how == 'expired' and EXPIRED_SECONDS or ENDED_SECONDS)
end

