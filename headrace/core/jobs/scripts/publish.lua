-- publish: appends new tokens to the streams of running jobs.
-- KEYS: none (streams are built from job ids)
-- ARGV: for each job 6 values: id, execution id, tokens up to the end of this entry, their ids
--       (JSON), their text, age of the newest token in s
-- Returns one number a job: 1 published, 0 lost (ended, or leased to another attempt).
-- Atomic with the check of the lease: a late worker cannot contradict its successor. The entry's
-- id is the token count, so an entry repeated after a lost answer is refused by Redis itself. A
-- stream has no time to live before its job has ended: a job may wait for its second try.

local results, woken = {}, {}
for i = 1, #ARGV, 6 do
  local id, eid, key = ARGV[i], ARGV[i + 1], job_key(ARGV[i])
  local is_mine, status = owns(id, eid)
  if is_mine then
    local added = redis.pcall('XADD', stream_key(id), ARGV[i + 2] .. '-0', 'ids', ARGV[i + 3],
      'text', ARGV[i + 4])
    if added.err and not string.find(added.err, 'equal or smaller') then return added end
    local stamps = redis.call('HMGET', key, 'hr_claimed', 'hr_first_token')
    local made = stamp(math.max(tonumber(stamps[1]), now - tonumber(ARGV[i + 5])))
    redis.call('HSET', key, 'hr_last_token', made, 'hr_first_token', stamps[2] or made)
    table.insert(woken, id)
    table.insert(results, 1)
  else
    count_late('publish', status)
    table.insert(results, 0)
  end
end
close()
if #woken > 0 then redis.call('PUBLISH', TOKENS_CHANNEL, table.concat(woken, ' ')) end
return results
