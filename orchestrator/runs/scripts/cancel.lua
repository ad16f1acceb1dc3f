-- Cancel it, or tell its owner to. ARGV: retention in seconds. Answers 0 where it ended, or there is none.
local state = get('state')
if not state or ended(state) then
  return 0
end
if state == 'running' and tonumber(get('lease_until')) > now() then
  redis.call('HSET', KEYS[1], 'cancel_wanted', '1')
  return 1
end
cancelled(ARGV[1])
return 1
