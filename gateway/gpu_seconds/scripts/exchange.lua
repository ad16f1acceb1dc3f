-- Tell how many requests are in flight, book milliseconds of workers, and hear of the other processes.
--
-- KEYS[1]  {<prefix>}:gpu. Beside it: …:flight:<endpoint>, a hash of process → "<in flight> <until when that holds>";
--          …:told, a hash of process → the number of its latest batch; …:hours, a sorted set of the hours with books;
--          …:hour:<hours since 1970>, a hash of what → milliseconds
-- ARGV[1]  the process
-- ARGV[2]  the number of its batch: one that was booked is not booked again
-- ARGV[3]  how long what is in flight holds, in milliseconds
-- ARGV[4]  how many hours books are kept
-- ARGV[5]  how many endpoints follow
-- ARGV[6]… two for each endpoint: its name, and the requests in flight from this process; then two for each booking:
--          what, and how many milliseconds
--
-- Returns how many requests are in flight from other processes, for each endpoint.

local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local process, batch, holds, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local first = 6
local last = first + 2 * tonumber(ARGV[5]) - 1

local told = {}
for i = first, last, 2 do
  local key = KEYS[1] .. ':flight:' .. ARGV[i]
  if tonumber(ARGV[i + 1]) > 0 then
    call('HSET', key, process, ARGV[i + 1] .. ' ' .. string.format('%d', now + holds))
    call('PEXPIRE', key, 10 * holds)
  else
    call('HDEL', key, process)
  end
  local elsewhere = 0
  local known = call('HGETALL', key)
  for j = 1, #known, 2 do
    if known[j] ~= process then
      local count, till = string.match(known[j + 1], '^(%d+) (%d+)$')
      if tonumber(till) > now then
        elsewhere = elsewhere + tonumber(count)
      else
        call('HDEL', key, known[j])
      end
    end
  end
  table.insert(told, elsewhere)
end

if #ARGV > last and batch > tonumber(call('HGET', KEYS[1] .. ':told', process) or -1) then
  local hour = math.floor(tonumber(clock[1]) / 3600)
  local books = KEYS[1] .. ':hour:' .. string.format('%d', hour)
  for i = last + 1, #ARGV, 2 do
    call('HINCRBY', books, ARGV[i], ARGV[i + 1])
  end
  call('EXPIRE', books, kept * 3600)
  call('ZADD', KEYS[1] .. ':hours', hour, string.format('%d', hour))
  call('ZREMRANGEBYSCORE', KEYS[1] .. ':hours', '-inf', hour - kept)
  call('HSET', KEYS[1] .. ':told', process, ARGV[2])
  call('EXPIRE', KEYS[1] .. ':told', 86400)
end
return told
