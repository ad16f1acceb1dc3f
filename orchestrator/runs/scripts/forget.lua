-- Forget it, where it ended before a moment. ARGV: the moment, Unix seconds. Answers whether it did.
local state = get('state')
if not (state and ended(state) and tonumber(get('ended_unix')) < tonumber(ARGV[1])) then
  return 0
end
redis.call('DEL', unpack(KEYS))
return 1
