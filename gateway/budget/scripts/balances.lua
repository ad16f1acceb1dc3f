-- Reads the balances of the current window.
--
-- KEYS[1]  deadlines
-- ARGV[1…] two per budget: window, account
--
-- Returns one list per budget: {microseconds until the window ends, owner, settled, held, owner, settled, held, …}.

local answer = {}
for i = 1, #ARGV, 2 do
  local window, start, ends, step = window_of(ARGV[i])
  local place = window .. ':' .. start .. ':' .. ARGV[i + 1]
  local one = {ends * 1000000 - now}
  if step then
    one[1] = (ends - now_seconds) * 1000000
  end
  for _, owner in ipairs(call('SMEMBERS', stem .. 'owners:' .. place)) do
    local key = stem .. 'balance:' .. place .. ':' .. owner
    if step then
      local settled, held = rolled(key, ends - now_seconds, step)
      one[#one + 1] = owner
      one[#one + 1] = string.format('%d', settled)
      one[#one + 1] = string.format('%d', held)
    else
      local balance = call('HMGET', key, 'settled', 'held')
      one[#one + 1] = owner
      one[#one + 1] = balance[1] or '0'
      one[#one + 1] = balance[2] or '0'
    end
  end
  answer[#answer + 1] = one
end
return answer
