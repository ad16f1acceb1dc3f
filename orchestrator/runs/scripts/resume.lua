-- Queue it again. ARGV: code, or ''. Answers 0 where it neither failed nor was cancelled.
local state = get('state')
if not (state == 'failed' or state == 'cancelled') then
  return 0
end
redis.call('HSET', KEYS[1], 'ended_unix', '0', 'cancel_wanted', '0')
redis.call('HDEL', KEYS[1], 'problem')
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], 'code', ARGV[1])
end
keep_for(nil)
become('queued')
return 1
