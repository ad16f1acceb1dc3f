-- Counts the slots that are held now, overdue ones not among them.
--
-- KEYS[1…] the slots of each tier
--
-- Returns one count per key.

local answer = {}
for i, key in ipairs(KEYS) do
  answer[i] = redis.call('ZCOUNT', key, '(' .. whole(now), '+inf')
end
return answer
