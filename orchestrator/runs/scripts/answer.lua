-- What the person said. ARGV: the text. Answers 0 where the run waits for nobody.
if get('state') ~= 'waiting' then
  return 0
end
redis.call('HSET', KEYS[5], cjson.decode(get('question')).step, ARGV[1])
redis.call('HDEL', KEYS[1], 'question')
become('queued')
return 1
