-- purge: removes all that is kept of ended jobs: prompt, result, tokens and every trace of their ids.
-- KEYS: none (keys are built from job ids)
-- ARGV: 1 ids of the jobs (JSON), 2… names of our queues
-- Returns for each job 1 purged, 0 left alone because it waits or runs, -1 no such job of ours.
-- Atomic, so that a job which is brought back at this moment is either purged or runs whole, and
-- nothing of it stays behind. Records of the completion log hold no prompt and no result: they stay.

local function is_ours(queue)
  for i = 2, #ARGV do
    if queue == ARGV[i] then return true end
  end
  return false
end

local ENDED = {finished = true, failed = true, canceled = true, stopped = true}

local function remove(id, queue, worker, eid)
  if eid then drop_execution(id, eid, queue, worker or '') end
  for _, registry in ipairs({'finished', 'failed', 'canceled'}) do
    redis.call('ZREM', RQ .. ':' .. registry .. ':' .. queue, id)
  end
  redis.call('DEL', job_key(id), job_key(id) .. ':dependents', job_key(id) .. ':dependencies',
    RQ .. ':results:' .. id, RQ .. ':executions:' .. id)
end

local function purge(id)
  local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'worker_name', 'hr_lease')
  if job[1] and not is_ours(job[2]) then return -1 end
  if job[1] and not ENDED[job[1]] then return 0 end
  -- RQ may have deleted the job itself: what is ours of it goes even then.
  redis.call('DEL', stream_key(id))
  redis.call('ZREM', DEAD, id)
  if not job[1] then return -1 end
  remove(id, job[2], job[3], job[4])
  return 1
end

local results = {}
for _, id in ipairs(cjson.decode(ARGV[1])) do table.insert(results, purge(id)) end
return results
