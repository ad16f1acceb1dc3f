-- Tell how many requests are in flight, book milliseconds of workers, and hear of the other processes.
--
-- What workers do is booked here, from the time at which somebody told last to the present, for what was told then: so
-- each moment is booked once, whoever tells, and none is missing where another process goes on.
--
-- KEYS[1]  {<prefix>}:gpu. Beside it: …:flight:<endpoint>, a hash of process → "<in flight> <until when that holds>";
--          …:workers, a hash of endpoint → "<since when> <starting> <awake>"; …:told, a hash of process → the number of
--          its latest batch; …:hours, a sorted set of the hours with books; …:hour:<hours since 1970>, a hash of
--          what → milliseconds
-- ARGV[1]  the process
-- ARGV[2]  the number of its batch: one that was booked is not booked again
-- ARGV[3]  how long what is in flight holds, in milliseconds
-- ARGV[4]  how many hours books are kept
-- ARGV[5]  how long what was told of workers is believed at most, in milliseconds; beyond that nothing is booked
-- ARGV[6]  how many endpoints follow
-- ARGV[7]… three for each endpoint: its name, the requests in flight from this process, and "<starting> <awake>", how
--          many milliseconds of workers there are in each of the store's, or nothing where this process does not look;
--          then two for each booking: what, and how many milliseconds, which may be below zero
--
-- Returns how many requests are in flight from other processes, for each endpoint.

local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local process, batch, holds, kept = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local believed = tonumber(ARGV[5])
local first = 7
local last = first + 3 * tonumber(ARGV[6]) - 1
local hour = math.floor(tonumber(clock[1]) / 3600)
local books = KEYS[1] .. ':hour:' .. string.format('%d', hour)
local booked = false

local function book(what, amount)
  local whole = math.floor(amount + 0.5)
  if whole ~= 0 then
    call('HINCRBY', books, what, string.format('%d', whole))
    booked = true
  end
end

local told = {}
for i = first, last, 3 do
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
  if ARGV[i + 2] ~= '' then
    local workers = KEYS[1] .. ':workers'
    local since, starting, awake = string.match(call('HGET', workers, ARGV[i]) or '', '^(%d+) (%S+) (%S+)$')
    local passed = now - (tonumber(since) or now)
    if passed > 0 and passed <= believed then
      book('starting  ' .. ARGV[i], passed * tonumber(starting))
      book('awake  ' .. ARGV[i], passed * tonumber(awake))
    end
    if ARGV[i + 2] == '0 0' then
      call('HDEL', workers, ARGV[i])
    elseif passed >= 0 then
      call('HSET', workers, ARGV[i], string.format('%d ', now) .. ARGV[i + 2])
      call('PEXPIRE', workers, 10 * believed)
    end
  end
end

if #ARGV > last and batch > tonumber(call('HGET', KEYS[1] .. ':told', process) or -1) then
  for i = last + 1, #ARGV, 2 do
    book(ARGV[i], tonumber(ARGV[i + 1]))
  end
  call('HSET', KEYS[1] .. ':told', process, ARGV[2])
  call('EXPIRE', KEYS[1] .. ':told', 86400)
end
if booked then
  call('EXPIRE', books, kept * 3600)
  call('ZADD', KEYS[1] .. ':hours', hour, string.format('%d', hour))
  call('ZREMRANGEBYSCORE', KEYS[1] .. ':hours', '-inf', hour - kept)
end
return told
