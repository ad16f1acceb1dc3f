-- Take a run up. ARGV: owner, lease in seconds, claim (the same one for the same request, sent again).
-- Answers the fence, or nothing where it is not to be taken.
local state, moment = get('state'), now()
if state == 'running' and get('claim') == ARGV[3] then
  return get('fence')
end
if not (state == 'queued' or (state == 'running' and tonumber(get('lease_until')) <= moment)) then
  return false
end
local fence = redis.call('HINCRBY', KEYS[1], 'fence', 1)
redis.call('HINCRBY', KEYS[1], 'attempts', 1)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'claim', ARGV[3], 'lease_until', text(moment + tonumber(ARGV[2])))
if tonumber(get('started_unix') or '0') == 0 then
  redis.call('HSET', KEYS[1], 'started_unix', text(moment))
end
become('running')
return tostring(fence)
