-- Reads the balances of the current window.
--
-- KEYS[1]  deadlines
-- ARGV[1…] two per budget: window in seconds, account
--
-- Returns one list per budget: {microseconds until the window ends, owner, settled, held, owner, settled, held, …}.

local answer = {}
for i = 1, #ARGV, 2 do
  local window = tonumber(ARGV[i])
  local start = now_seconds - now_seconds % window
  local place = ARGV[i] .. ':' .. start .. ':' .. ARGV[i + 1]
  local one = {(start + window) * 1000000 - now}
  for _, owner in ipairs(call('SMEMBERS', stem .. 'owners:' .. place)) do
    local balance = call('HMGET', stem .. 'balance:' .. place .. ':' .. owner, 'settled', 'held')
    one[#one + 1] = owner
    one[#one + 1] = balance[1] or '0'
    one[#one + 1] = balance[2] or '0'
  end
  answer[#answer + 1] = one
end
return answer
