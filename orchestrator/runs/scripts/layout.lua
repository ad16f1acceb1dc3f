-- What every script of a run begins with. Its keys share a hash tag, the run's name:
--   KEYS[1]  hash: the run's fields; besides those of run.py: fence, lease_until, claim, events, key
--   KEYS[2]  list: the kept steps, each a JSON text, in order
--   KEYS[3]  hash: the key of each kept step → 1
--   KEYS[4]  stream: the events, NUMBER-0 → type, unix, data
--   KEYS[5]  hash: the key of each step that asked → what a person answered
local EVENTS_MAX = 20000

local function now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

local function text(number)
  return string.format('%.6f', number)
end

local function get(field)
  return redis.call('HGET', KEYS[1], field)
end

local function tell(kind, data)
  local number = redis.call('HINCRBY', KEYS[1], 'events', 1)
  redis.call('XADD', KEYS[4], 'MAXLEN', '~', EVENTS_MAX, number .. '-0', 'type', kind, 'unix', text(now()), 'data', data)
end

-- Only its owner, with the newest fence, may write a run.
local function owns(fence)
  return get('state') == 'running' and get('fence') == fence
end

local function ended(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled'
end

local function become(state)
  redis.call('HSET', KEYS[1], 'state', state)
  if state ~= 'running' then
    redis.call('HSET', KEYS[1], 'owner', '', 'lease_until', '0')
  end
  tell('run.' .. state, '{}')
end

-- What ended is kept for so many seconds; it stays for good where it goes on.
local function keep_for(seconds)
  for _, key in ipairs(KEYS) do
    if seconds then
      redis.call('EXPIRE', key, seconds)
    else
      redis.call('PERSIST', key)
    end
  end
end

local function cancelled(retention)
  redis.call('HDEL', KEYS[1], 'question')
  redis.call('HSET', KEYS[1], 'ended_unix', text(now()))
  become('cancelled')
  keep_for(retention)
end
