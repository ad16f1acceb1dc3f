-- Reads the balances of the current window.
--
-- KEYS[1]  deadlines (unused here; it tells a cluster where all keys live)
-- ARGV[1]  stem of all keys
-- ARGV[2…] two per budget: window in seconds, account
--
-- Returns one list per budget: {microseconds until the window ends, owner, settled, held, owner, settled, held, …}.

local answer = {}
for i = 2, #ARGV, 2 do
  local window = tonumber(ARGV[i])
  local one = {(window_start(window) + window) * 1000000 - now}
  for _, owner in ipairs(redis.call('SMEMBERS', owners_key(ARGV[1], ARGV[i], ARGV[i + 1]))) do
    local balance = redis.call('HMGET', balance_key(ARGV[1], ARGV[i], ARGV[i + 1], owner), 'settled', 'held')
    one[#one + 1] = owner
    one[#one + 1] = balance[1] or '0'
    one[#one + 1] = balance[2] or '0'
  end
  answer[#answer + 1] = one
end
return answer
