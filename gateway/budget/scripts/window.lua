-- Windows, as the ledger writes them. Not a script of its own: the loader puts it in front of the verbs that need it.
--
--   <seconds>                                  begins at multiples of it
--   c<unit>@<zone>:<a>:<b>:<c>:<d>             a calendar's: from a, b and c on, until d; the middle one is the window
--                                              in which its sender believes to be
--   r<seconds>:<bucket seconds>                rolling

-- Returns the window's name in keys, its start, its end and, of a rolling one, the length of a bucket. Where no moment
-- fits, the sender's clock is a whole window off: nothing can be booked right then.
local function window_of(text)
  local length = tonumber(text)
  if length then
    local start = now_seconds - now_seconds % length
    return text, start, start + length
  end
  local rolling, step = string.match(text, '^(r%d+):(%d+)$')
  if rolling then
    return rolling, 0, now_seconds + tonumber(string.sub(rolling, 2)), tonumber(step)
  end
  local name, a, b, c, d = string.match(text, '^(c[^:]+):(%d+):(%d+):(%d+):(%d+)$')
  local from = tonumber(a)
  for _, till in ipairs({b, c, d}) do
    if now_seconds >= from and now_seconds < tonumber(till) then
      return name, string.format('%d', from), tonumber(till)
    end
    from = tonumber(till)
  end
  error('the clocks of gateway and store are more than a window apart')
end

-- A rolling window's hash has, beside settled and held of each bucket, their sums over all buckets that are in it, the
-- first of these buckets, and until when it is kept. Only when the first one is out of the window, the others are read.

-- The buckets that are out of the window, if any: their fields, what the sums are without them, and the first that is
-- left, if any.
local function gone_from(key, settled, held, length, step)
  local fields, first = {}, nil
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local bucket, kind = string.match(all[i], '^(%d+):(%a+)$')
    bucket = tonumber(bucket)
    if bucket and bucket + step + length <= now_seconds then
      fields[#fields + 1] = all[i]
      if kind == 'held' then
        held = held - tonumber(all[i + 1])
      else
        settled = settled - tonumber(all[i + 1])
      end
    elseif bucket and (not first or bucket < first) then
      first = bucket
    end
  end
  return {fields = fields, settled = settled, held = held, first = first}
end

-- What is settled and what is held in a rolling window, and what `roll` needs.
-- A bucket counts until all of it is out of the window.
local function rolled(key, length, step)
  local found = call('HMGET', key, 'settled', 'held', 'first', 'kept')
  local settled, held = tonumber(found[1] or 0), tonumber(found[2] or 0)
  local state = {first = found[3] and tonumber(found[3]) or nil, kept = tonumber(found[4] or 0)}
  if state.first and state.first + step + length <= now_seconds then
    state.gone = gone_from(key, settled, held, length, step)
    settled, held, state.first = state.gone.settled, state.gone.held, state.gone.first
  end
  return settled, held, state
end

-- Takes the buckets out that count no more, and makes room for an amount in the one of now; `held` of it is there then.
-- The hash is kept for as long as a reservation of now may live, and a window longer; this is written once a day.
local function roll(key, owners, owner, state, length, step)
  if state.gone then
    for _, field in ipairs(state.gone.fields) do
      call('HDEL', key, field)
    end
    call('HSET', key, 'settled', string.format('%d', state.gone.settled), 'held', string.format('%d', state.gone.held))
    if not state.first then
      call('HDEL', key, 'first')
    end
  end
  local bucket = now_seconds - now_seconds % step
  if state.gone or not state.first or bucket < state.first then
    call('HSET', key, 'first', math.min(state.first or bucket, bucket))
  end
  if state.kept < now_seconds + length + step + 2 * DAY then
    local kept = now_seconds + length + step + 3 * DAY
    call('HSET', key, 'kept', kept)
    call('EXPIREAT', key, kept)
    call('SADD', owners, owner)
    call('EXPIREAT', owners, kept)
  end
end

-- In how many seconds `missing` more is free in a rolling window, if nothing else is taken meanwhile.
local function free_in(key, length, step, missing)
  local buckets, starts = {}, {}
  local all = call('HGETALL', key)
  for i = 1, #all, 2 do
    local bucket = tonumber(string.match(all[i], '^(%d+):'))
    if bucket and bucket + step + length > now_seconds then
      if not buckets[bucket] then
        starts[#starts + 1] = bucket
      end
      buckets[bucket] = (buckets[bucket] or 0) + tonumber(all[i + 1])
    end
  end
  table.sort(starts)
  for _, bucket in ipairs(starts) do
    missing = missing - buckets[bucket]
    if missing <= 0 then
      return math.min(length, bucket + step + length - now_seconds)
    end
  end
  return length
end

