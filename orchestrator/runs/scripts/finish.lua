-- Let it end. ARGV: fence, state, retention in seconds, field, value, … Answers 0 where the run is not owned.
if not owns(ARGV[1]) then
  return (get('state') == ARGV[2] and get('fence') == ARGV[1]) and 1 or 0
end
redis.call('HSET', KEYS[1], 'ended_unix', text(now()), unpack(ARGV, 4))
become(ARGV[2])
keep_for(ARGV[3])
return 1
