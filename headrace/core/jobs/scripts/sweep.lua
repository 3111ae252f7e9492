-- sweep: what must happen though no worker does it: the jobs of dead workers wait again, jobs whose
-- time is over end, retries that are due wait, and what has ended long ago is forgotten.
-- KEYS: none (keys are built from ids and names)
-- ARGV: 1 a worker's name, known to be dead, '' for every lease that ran out, or '-' for no lease,
--       2 most deaths of a job, 3 now in RQ's format, 4 exc_string of a dead letter,
--       5 exc_string of an expired job
-- Returns {redelivered ids, ids that became dead letters, expired ids, 1 if jobs that depend on
-- ended ones are still to be enqueued}
-- Atomic, so that two sweepers cannot redeliver one job twice.

local redelivered, dead, expired = {}, {}, {}
local batch_sizes = {}

local function batch_size(worker)
  batch_sizes[worker] = batch_sizes[worker] or redis.call('SCARD', executions_key(worker))
  return batch_sizes[worker]
end

local function due(key)
  return redis.call('ZRANGEBYSCORE', key, '-inf', stamp(now), 'LIMIT', 0, AT_ONCE)
end

local function suspended()
  if ARGV[1] == '-' then return {} end
  if ARGV[1] == '' then return due(LEASES) end
  local ids = {}
  for _, composite in ipairs(redis.call('SMEMBERS', executions_key(ARGV[1]))) do
    table.insert(ids, string.match(composite, '^[^:]+'))
  end
  return ids
end

-- A death is noted with the worker and how many jobs it had: who died alone is to blame.
local function bury(id, job)
  local died = cjson.decode(job.died or '[]')
  table.insert(died, {worker = job.worker, at = NOW, batch_size = batch_size(job.worker)})
  redis.call('HSET', job_key(id), 'hr_died', cjson.encode(died))
  local deaths = redis.call('HINCRBY', job_key(id), 'hr_deaths', 1)
  if job.is_alone or deaths >= tonumber(ARGV[2]) then
    end_job(id, failure(id, 'failed', 'dead', ARGV[4], ARGV[3]))
    table.insert(dead, id)
  else
    put_back(id, job.lease, 'redelivered')
    count('redelivered', 1)
    table.insert(redelivered, id)
  end
end

-- Ended jobs whose time in a registry is over, a thousand at a time.
local function forget(registry, from, to)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', registry, from, stamp(to), 'LIMIT', 0, AT_ONCE)) do
    gather('ZREM', registry, id)
    gather('ZREM', JOBS, id)
  end
end

-- What RQ's scheduler does, which nobody runs here: for our retries, and for jobs that stock RQ
-- scheduled.
local function promote(queue, id)
  local job = redis.call('HMGET', job_key(id), 'status', 'ended_at', 'enqueue_at_front_on_retry',
    'enqueue_at_front')
  redis.call('ZREM', scheduled_key(queue), id)
  if job[1] ~= 'scheduled' then return end
  redis.call('HSET', job_key(id), 'status', 'queued', 'enqueued_at', ARGV[3])
  local is_retry = (job[2] or '') ~= ''
  enqueue(queue, id, job[4] == '1' or (is_retry and job[3] == '1'))
  ring()
end

complete(function()
  for _, id in ipairs(suspended()) do
    local fields = redis.call('HMGET', job_key(id), 'status', 'hr_lease', 'worker_name', 'hr_died',
      'hr_alone')
    local job = {status = fields[1], lease = fields[2] or '', worker = fields[3] or '',
      died = fields[4] or nil, is_alone = fields[5] == '1'}
    if job.status ~= 'started' or job.lease == '' then
      if job.lease ~= '' then -- stock RQ ended it
        drop_attempt(id, job.lease, job.worker)
      else
        gather('ZREM', LEASES, id)
        end_as_rq_did(id, job.status)
      end
    elseif ARGV[1] == '' or ARGV[1] == job.worker then
      bury(id, job)
    end
  end

  for _, id in ipairs(due(EXPIRIES)) do
    local job = redis.call('HMGET', job_key(id), 'status', 'origin')
    gather('ZREM', EXPIRIES, id)
    if job[1] == 'queued' or job[1] == 'scheduled' then
      withdraw(job[2], id, true)
      redis.call('ZREM', scheduled_key(job[2]), id)
      end_job(id, failure(id, 'failed', 'expired', ARGV[5], ARGV[3]))
      table.insert(expired, id)
    end
  end

  for _, queue in ipairs(QUEUES) do
    for _, id in ipairs(due(scheduled_key(queue))) do promote(queue, id) end
    adopt(queue)
    forget(RQ .. ':finished:' .. queue, 0, now)
    forget(RQ .. ':failed:' .. queue, 0, now)
    forget(RQ .. ':canceled:' .. queue, '-inf', now - RESULT_TTL_S)
  end
  redis.call('ZREMRANGEBYSCORE', DEAD, '-inf', stamp(now))
  -- Dead letters that RQ's own tools deleted or brought back, a few at a time.
  for _, id in ipairs(redis.call('ZRANDMEMBER', DEAD, 10)) do
    if redis.call('HGET', job_key(id), 'status') ~= 'failed' then gather('ZREM', DEAD, id) end
  end
  -- Listed jobs that RQ's own tools deleted, likewise.
  for _, id in ipairs(redis.call('ZRANDMEMBER', JOBS, 10)) do
    if redis.call('EXISTS', job_key(id)) == 0 then gather('ZREM', JOBS, id) end
  end
  -- Jobs set aside that RQ's own tools or an older version ended: no claim may ever come upon them.
  for _, card in ipairs(redis.call('HKEYS', ASIDE)) do
    for _, queue in ipairs(QUEUES) do
      local name = aside_name(queue, card)
      for _, id in ipairs(redis.call('ZRANDMEMBER', fair_key(name), 10)) do
        local status = redis.call('HGET', job_key(id), 'status')
        if status ~= 'queued' then
          leave(name, queue, id)
          end_as_rq_did(id, status)
        end
      end
    end
  end
end)
return {redelivered, dead, expired, redis.call('EXISTS', PARENTS)}
