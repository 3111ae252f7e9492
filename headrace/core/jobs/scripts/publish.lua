-- publish: appends new tokens to the streams of running jobs.
-- KEYS: none (streams are built from job ids)
-- ARGV: 1 ttl of a stream in s, then for each job 6 values:
--       id, execution id, tokens up to the end of this entry, their ids (JSON), their text,
--       age of the newest token in s
-- Returns one number a job: 1 published, 0 lost (ended, or leased to another attempt).
-- Atomic with the check of the lease: a late worker cannot contradict its successor. The entry's
-- id is the token count, so an entry repeated after a lost answer is refused by Redis itself.

local now = redis_now()
local results, woken = {}, {}
for i = 2, #ARGV, 6 do
  local id, eid, count, age = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 5])
  if owns(id, eid) then
    local added = redis.pcall('XADD', stream_key(id), count .. '-0', 'ids', ARGV[i + 3],
      'text', ARGV[i + 4])
    if added.err and not string.find(added.err, 'equal or smaller') then return added end
    redis.call('EXPIRE', stream_key(id), ARGV[1])
    local claimed = tonumber(redis.call('HGET', job_key(id), 'hr_claimed'))
    local made = stamp(math.max(claimed, now - age))
    redis.call('HSETNX', job_key(id), 'hr_first_token', made)
    redis.call('HSET', job_key(id), 'hr_last_token', made)
    table.insert(woken, id)
    table.insert(results, 1)
  else
    table.insert(results, 0)
  end
end
if #woken > 0 then redis.call('PUBLISH', TOKENS_CHANNEL, table.concat(woken, ' ')) end
return results
