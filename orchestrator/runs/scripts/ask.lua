-- Wait for a person, or be cancelled where somebody wants that. ARGV: fence, question, retention in seconds.
-- Answers 0 where the run is not owned.
if not owns(ARGV[1]) then
  return (get('state') == 'waiting' and get('fence') == ARGV[1]) and 1 or 0
end
if get('cancel_wanted') == '1' then
  cancelled(ARGV[3])
else
  redis.call('HSET', KEYS[1], 'question', ARGV[2])
  become('waiting')
end
return 1
