-- Overdue reservations. Not a script of its own: the loader puts it in front of the verbs that end them.

-- Expires at most `most` overdue reservations: charged in full, slot freed. Returns how many it looked at and how
-- many of these it expired.
local function sweep(most)
  local overdue = call('ZRANGEBYSCORE', deadlines, '-inf', now, 'LIMIT', 0, most)
  local expired = 0
  for _, id in ipairs(overdue) do
    local row = live(id)
    if row then
      finish(id, row, 'expired', nil, 0)
      expired = expired + 1
    else
      call('ZREM', deadlines, id)
    end
  end
  return #overdue, expired
end

