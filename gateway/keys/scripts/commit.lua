-- Changes keys and notes it in the audit log: both, or nothing.
--
-- KEYS[1]  "{tiergate}:keys"; what is kept lies under it:
--   <KEYS[1]>:all     hash: a key's id -> the key as JSON
--   <KEYS[1]>:head    string: the digest of the audit log's latest entry, which is also the keys' version
--   <KEYS[1]>:mark    string: what the gateway's pepper is known by
--   <KEYS[1]>:audit   stream: the log, "entry" as JSON and its "digest"
--   <KEYS[1]>:done    string with a life: set under the digest of each entry for a minute
-- ARGV[1]  the pepper's mark
-- ARGV[2]  the head that the change was made for; empty at first
-- ARGV[3]  the entry's digest, the head from now on
-- ARGV[4]  the entry
-- ARGV[5]  how many entries are kept, about
-- ARGV[6]… two for each key that changes: its id and what it is
--
-- Returns 1; 0 where the head is another one; -1 where the pepper is. Asked twice with the same arguments it says the same
-- twice.

local call, base = redis.call, KEYS[1]
local mark = call('GET', base .. ':mark')
if mark and mark ~= ARGV[1] then
  return -1
end
local done = base .. ':done:' .. ARGV[3]
if call('EXISTS', done) == 1 then
  return 1
end
if (call('GET', base .. ':head') or '') ~= ARGV[2] then
  return 0
end
call('SET', base .. ':mark', ARGV[1])
call('SET', base .. ':head', ARGV[3])
call('SET', done, '1', 'PX', 60000)
call('XADD', base .. ':audit', 'MAXLEN', '~', tonumber(ARGV[5]), '*', 'entry', ARGV[4], 'digest', ARGV[3])
for index = 6, #ARGV, 2 do
  call('HSET', base .. ':all', ARGV[index], ARGV[index + 1])
end
return 1
