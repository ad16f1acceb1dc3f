-- Brings together what processes know of Runpod endpoints, and says which process asks Runpod.
--
-- Times are milliseconds of the store's clock; ages are counted back from now.
--
-- KEYS[1]  "{tiergate}:health"; what is kept lies under it:
--   <KEYS[1]>:leader       string: the process that asks, until its lease ends
--   <KEYS[1]>:<endpoint>   hash: sample, sampled (when it was taken), proved (when a worker worked last), awaited and
--                          used (until when somebody waits for the endpoint, and uses it), and for each process that
--                          holds calls "waiting <process>": "<how many> <until when that holds>"
-- ARGV[1]  the process
-- ARGV[2]  how long it leads, where it does
-- ARGV[3]  how long it waits for endpoints and uses them, where it does
-- ARGV[4]… six for each endpoint: its name; 2 where it is awaited, 1 where it is used, else 0; calls held for it in this
--          process; the age of a worker's latest sign of life, or -1; a sample, or ""; its age
--
-- Returns whether the process leads, and for each endpoint: awaited (2), used (1) or neither (0), over all processes;
-- calls held in other processes; the age of the latest sign of life, or -1; the latest sample, or ""; its age. Asked
-- twice with the same arguments it says the same twice.

local FORGOTTEN = 600000

local call = redis.call
local clock = call('TIME')
local now = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)
local process, lease, holds = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function whole(number)
  return string.format('%d', number)
end

local function latest(key, field, at)
  local known = tonumber(call('HGET', key, field) or -1)
  if at > known then
    call('HSET', key, field, whole(at))
    return at
  end
  return known
end

local leader = KEYS[1] .. ':leader'
local leading = call('GET', leader)
if not leading or leading == process then
  call('SET', leader, process, 'PX', lease)
  leading = process
end

local told = { leading == process and 1 or 0 }
for i = 4, #ARGV, 6 do
  local key = KEYS[1] .. ':' .. ARGV[i]
  local level, waiting, proof, sample, age = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]),
    ARGV[i + 4], tonumber(ARGV[i + 5])
  local awaited = latest(key, 'awaited', level == 2 and now + holds or -1)
  local used = latest(key, 'used', level == 1 and now + holds or -1)
  local proved = latest(key, 'proved', proof >= 0 and now - proof or -1)
  if sample ~= '' and now - age > tonumber(call('HGET', key, 'sampled') or -1) then
    call('HSET', key, 'sample', sample, 'sampled', whole(now - age))
  end
  if waiting > 0 then
    call('HSET', key, 'waiting ' .. process, waiting .. ' ' .. whole(now + holds))
  else
    call('HDEL', key, 'waiting ' .. process)
  end
  local elsewhere = 0
  local kept = call('HGETALL', key)
  for j = 1, #kept, 2 do
    if string.sub(kept[j], 1, 8) == 'waiting ' and kept[j] ~= 'waiting ' .. process then
      local count, till = string.match(kept[j + 1], '^(%d+) (%d+)$')
      if tonumber(till) > now then
        elsewhere = elsewhere + tonumber(count)
      else
        call('HDEL', key, kept[j])
      end
    end
  end
  local sampled = tonumber(call('HGET', key, 'sampled') or -1)
  if #kept > 0 then
    call('PEXPIRE', key, FORGOTTEN)
  end
  table.insert(told, {
    awaited > now and 2 or used > now and 1 or 0,
    elsewhere,
    proved >= 0 and math.max(0, now - proved) or -1,
    call('HGET', key, 'sample') or '',
    sampled >= 0 and math.max(0, now - sampled) or 0,
  })
end
return told
