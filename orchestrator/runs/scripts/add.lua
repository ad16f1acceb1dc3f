-- Keep a new run, queued. ARGV: field, value, … Answers 1, or 0 where there is one of that name.
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 0
end
redis.call('HSET', KEYS[1], unpack(ARGV))
redis.call('HSET', KEYS[1], 'created_unix', text(now()))
become('queued')
return 1
