-- Keep a step. ARGV: fence, the step's key, its JSON. Answers 0 where the run is not owned.
if not owns(ARGV[1]) then
  return 0
end
if redis.call('HSETNX', KEYS[3], ARGV[2], '1') == 1 then
  redis.call('RPUSH', KEYS[2], ARGV[3])
  redis.call('HINCRBY', KEYS[1], 'steps', 1)
end
return 1
