-- Raises what a live reservation holds, or does nothing.
--
-- KEYS[1]  deadlines
-- ARGV[1]  id of the claim
-- ARGV[2…] three per hold, in the order in which they were reserved: amount that is to be held in all, limit, "!" where
--          the budget only reports, else ""
--
-- Returns 0 done; {0, index of a hold from 0, …} done, though these budgets that only report had not enough left; {2,
-- index of the hold, available, amount that was to be added} no budget; {3} the reservation is not live.

local BUCKETS = 60 -- of a rolling window, see tiers/windows.py

local id = ARGV[1]
local deadline = call('ZSCORE', deadlines, id)
local row = deadline and tonumber(deadline) > now and live(id)
if not row then
  return {3}
end
local more = {}
local wanted = {}
local answer = 0
for hold = 1, (#row - 1) / 3 do
  local key, held, field = row[3 * hold - 1], row[3 * hold], row[3 * hold + 1]
  local total, limit = tonumber(ARGV[3 * hold - 1]), tonumber(ARGV[3 * hold])
  local amount = math.max(0, total - tonumber(held))
  if amount > 0 then
    local settled, all_held
    if field ~= '' then
      local length = tonumber(string.match(key, ':r(%d+):0:'))
      settled, all_held = rolled(key, length, math.max(1, math.ceil(length / BUCKETS)))
    else
      local balance = call('HMGET', key, 'settled', 'held')
      settled, all_held = tonumber(balance[1] or 0), tonumber(balance[2] or 0)
    end
    local available = limit - settled - all_held - (wanted[key] or 0)
    if amount > available then
      if ARGV[3 * hold + 1] ~= '!' then
        return {2, hold - 1, available, amount}
      end
      answer = answer == 0 and {0} or answer
      answer[#answer + 1] = hold - 1
    end
  end
  wanted[key] = (wanted[key] or 0) + amount
  more[hold] = amount
end
for hold, amount in ipairs(more) do
  local key, field = row[3 * hold - 1], row[3 * hold + 1]
  if amount > 0 then
    if field == '' or still_counts(key, field) then
      add(key, field, 'held', string.format('%d', amount))
    end
    row[3 * hold] = string.format('%d', tonumber(row[3 * hold]) + amount)
  end
end
call('SET', stem .. 'reservation:' .. id, cmsgpack.pack(row), 'KEEPTTL')
return answer
