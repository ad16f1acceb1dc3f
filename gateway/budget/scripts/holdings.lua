-- What live reservations hold on one budget in its current window.
--
-- KEYS[1]  deadlines
-- ARGV[1]  window
-- ARGV[2]  account
-- ARGV[3]  how many reservations to look at, at most
--
-- Returns {id, owner, amount, deadline, id, …}.

local window, start = window_of(ARGV[1])
local place = stem .. 'balance:' .. window .. ':' .. start .. ':' .. ARGV[2] .. ':'
local answer = {}
local ids = call('ZRANGEBYSCORE', deadlines, now + 1, '+inf', 'WITHSCORES', 'LIMIT', 0, tonumber(ARGV[3]))
for n = 1, #ids, 2 do
  local row = live(ids[n])
  for i = 2, row and #row or 0, 3 do
    if string.sub(row[i], 1, #place) == place and row[i + 1] ~= '0' then
      answer[#answer + 1] = ids[n]
      answer[#answer + 1] = string.sub(row[i], #place + 1)
      answer[#answer + 1] = row[i + 1]
      answer[#answer + 1] = ids[n + 1]
    end
  end
end
return answer
