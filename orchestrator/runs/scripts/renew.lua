-- Keep owning. ARGV: fence, lease in seconds. Answers -1 where it is lost, 1 where it is to be cancelled, else 0.
if not owns(ARGV[1]) then
  return -1
end
redis.call('HSET', KEYS[1], 'lease_until', text(now() + tonumber(ARGV[2])))
return tonumber(get('cancel_wanted') or '0')
