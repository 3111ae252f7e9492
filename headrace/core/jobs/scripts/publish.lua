-- publish: appends new tokens to the streams of running jobs.
-- KEYS: none (streams are built from job ids)
-- ARGV: for each job 7 values: id, execution id, tokens up to the end of this entry, their ids
--       (JSON), their text, age of the newest token in s, their logprobs (JSON) or ''
-- Returns one number a job: 1 published, 0 lost (ended, or leased to another attempt).
-- Atomic with the check of the lease: a late worker cannot contradict its successor. The entry's
-- id is the token count, so an entry repeated after a lost answer is refused by Redis itself. A
-- stream has no time to live before its job has ended: a job may wait for its second try.

local results, news = {}, {ids = {}, lines = {}}
for i = 1, #ARGV, 7 do
  local id, eid, key = ARGV[i], ARGV[i + 1], job_key(ARGV[i])
  local is_mine, status, job = owns(id, eid, 'hr_claimed', 'hr_first_token')
  if is_mine then
    local problem, line = append(id, ARGV[i + 2] .. '-0', ARGV[i + 3], ARGV[i + 4], ARGV[i + 6])
    if problem then return problem end
    local made = stamp(math.max(tonumber(job[3]), now - tonumber(ARGV[i + 5])))
    redis.call('HSET', key, 'hr_last_token', made, 'hr_first_token', job[4] or made)
    add_news(news, id, line)
    table.insert(results, 1)
  else
    count_late('publish', status)
    table.insert(results, 0)
  end
end
close()
tell(TOKENS_CHANNEL, news)
return results
