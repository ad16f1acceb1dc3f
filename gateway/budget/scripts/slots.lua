-- Counts the slots that are held now, overdue ones not among them.
--
-- KEYS[1]  deadlines
-- ARGV[1…] names of tiers
--
-- Returns one count per name.

local answer = {}
for i, name in ipairs(ARGV) do
  answer[i] = call('ZCOUNT', stem .. 'slots:' .. name, now + 1, '+inf')
end
return answer
