-- finish: writes the result of each ended job once, or has it tried again. A worker that runs
-- nothing any more is shown as idle.
-- KEYS: none (keys are built from job ids)
-- ARGV: 1 now in RQ's format, 2 RQ key of the worker, then for each job 14 values:
--       id, execution id, status (finished|failed|stopped), reason, return_value, exc_string
--       (base64 or ''), report (JSON), ids (JSON) and text not published yet, tokens in all, age of
--       the newest in s, dead (1 for a dead letter), share of the retry interval to wait, or '' for
--       an error that another try would meet as well, logprobs (JSON) of what was not published or ''
-- Returns {for each job {verdict, its five stamps; none if retried, lost or gone}, 1 if jobs that
-- depend on ended ones are still to be enqueued}
--   verdict: written; retried: it waits for its next try; mine: this attempt wrote it already and the answer got lost;
--   lost: the job is another's.
-- Atomic with the check of the lease, so that a job has one result whoever comes late.


-- RQ's interval before the next try; nil where none is left.
local function retry_interval(id)
  local job = redis.call('HMGET', job_key(id), 'retries_left', 'retry_intervals')
  local left = tonumber(job[1]) or 0
  if left <= 0 then return nil end
  local intervals = job[2] and cjson.decode(job[2]) or {0}
  local interval = tonumber(intervals[math.max(#intervals - left, 0) + 1]) or 0
  return math.min(interval, LONGEST_S)
end

-- What was streamed stands; what was not is made again.
local function try_again(id, eid, interval, reason, report)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'origin', 'worker_name', 'hr_deadline',
    'enqueue_at_front_on_retry', 'hr_timeline')
  local queue = job[1]
  drop_execution(id, eid, queue, job[2] or '')
  redis.call('HINCRBY', key, 'retries_left', -1)
  redis.call('HDEL', key, 'hr_expires')
  redis.call('HSET', key, 'ended_at', ARGV[1], 'last_heartbeat', ARGV[1], 'hr_lease', '',
    'hr_alone', '', 'hr_timeline', noted(job[5], {
      event = 'retried', worker = job[2] or nil, reason = reason, due_at = stamp(now + interval),
      batch_size = tonumber(string.match(report, '"batch_size":([%d.]+)')),
    }))
  if interval > 0 then
    redis.call('HSET', key, 'status', 'scheduled')
    redis.call('SADD', RQ .. ':queues', queue_key(queue))
    redis.call('ZADD', scheduled_key(queue), stamp(now + interval), id)
  else
    redis.call('HSET', key, 'status', 'queued', 'enqueued_at', ARGV[1])
    enqueue(queue, id, job[4] == '1')
    ring()
  end
  if job[3] then expire_at(id, tonumber(job[3])) end
  count('retried', 1)
end

local function write(i, job)
  return end_job(ARGV[i], {
    ended_at = ARGV[1], status = ARGV[i + 2], reason = ARGV[i + 3], return_value = ARGV[i + 4],
    exc_string = ARGV[i + 5], report = ARGV[i + 6], ended_by = ARGV[i + 1], ids = ARGV[i + 7],
    text = ARGV[i + 8], count = tonumber(ARGV[i + 9]), age = tonumber(ARGV[i + 10]),
    dead = ARGV[i + 11] == '1', logprobs = ARGV[i + 13],
  }, job)
end

local succeeded, failed, working_s = 0, 0, 0
local results = {}
complete(function()
  for i = 3, #ARGV, 14 do
    local id, eid = ARGV[i], ARGV[i + 1]
    local job = load_job(id)
    if job[1] == 'started' and job[2] == eid then
      local interval = ARGV[i + 12] ~= '' and retry_interval(id)
      if interval then
        try_again(id, eid, interval * tonumber(ARGV[i + 12]), ARGV[i + 3], ARGV[i + 6])
        table.insert(results, {'retried', {}})
        working_s = working_s + now - tonumber(job[6])
      else
        local stamps = write(i, job)
        table.insert(results, {'written', stamps})
        working_s = working_s + stamps[5] - stamps[2]
      end
      if ARGV[i + 2] == 'finished' then succeeded = succeeded + 1 else failed = failed + 1 end
    elseif redis.call('EXISTS', ended_key(eid)) == 1 then
      table.insert(results, {'mine', {}})
    elseif redis.call('HGET', job_key(id), 'hr_ended_by') == eid then
      table.insert(results, {'mine', redis.call('HMGET', job_key(id), 'hr_accepted', 'hr_claimed',
        'hr_first_token', 'hr_last_token', 'hr_committed')})
    else
      count_late('finish', job[1])
      table.insert(results, {'lost', {}})
    end
  end
end)

if succeeded + failed > 0 and redis.call('EXISTS', ARGV[2]) == 1 then
  if succeeded > 0 then redis.call('HINCRBY', ARGV[2], 'successful_job_count', succeeded) end
  if failed > 0 then redis.call('HINCRBY', ARGV[2], 'failed_job_count', failed) end
  redis.call('HINCRBYFLOAT', ARGV[2], 'total_working_time', stamp(working_s))
end
if redis.call('EXISTS', ARGV[2] .. ':executions') == 0 and redis.call('EXISTS', ARGV[2]) == 1 then
  redis.call('HSET', ARGV[2], 'state', 'idle')
end
return {results, redis.call('EXISTS', PARENTS)}
