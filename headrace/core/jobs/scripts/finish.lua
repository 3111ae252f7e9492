-- finish: writes the result of each ended job once.
-- KEYS: none (keys are built from job ids)
-- ARGV: 1 now in RQ's format, 2 ttl of an ended job in s, 3 length of the completion log,
--       4 RQ key of the worker, then for each job 11 values:
--       id, execution id, status (finished|failed), reason, return_value, exc_string (base64 or ''),
--       report (JSON), ids (JSON) and text not published yet, tokens in all, age of the newest in s
-- Returns for each job {'written' | 'mine' | 'lost', its five stamps; none where lost}
--   mine: this attempt wrote it already and the answer got lost; lost: the job is another's.
-- Atomic with the check of the lease, so that a job has one result whoever comes late.

local results = {}
for i = 5, #ARGV, 11 do
  local id, eid = ARGV[i], ARGV[i + 1]
  if owns(id, eid) then
    local stamps = end_job(id, {
      ended_at = ARGV[1], ttl = tonumber(ARGV[2]), log_max = ARGV[3],
      status = ARGV[i + 2], reason = ARGV[i + 3], return_value = ARGV[i + 4],
      exc_string = ARGV[i + 5], report = ARGV[i + 6], ended_by = eid,
      ids = ARGV[i + 7], text = ARGV[i + 8], count = tonumber(ARGV[i + 9]),
      age = tonumber(ARGV[i + 10]),
    })
    local counter = ARGV[i + 2] == 'finished' and 'successful_job_count' or 'failed_job_count'
    if redis.call('EXISTS', ARGV[4]) == 1 then
      redis.call('HINCRBY', ARGV[4], counter, 1)
      redis.call('HINCRBYFLOAT', ARGV[4], 'total_working_time', stamp(stamps[5] - stamps[2]))
    end
    table.insert(results, {'written', stamps})
  elseif redis.call('HGET', job_key(id), 'hr_ended_by') == eid then
    table.insert(results, {'mine', redis.call('HMGET', job_key(id), 'hr_accepted', 'hr_claimed',
      'hr_first_token', 'hr_last_token', 'hr_committed')})
  else
    table.insert(results, {'lost', {}})
  end
end
return results
