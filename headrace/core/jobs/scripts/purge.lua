-- purge: removes all that is kept of ended jobs: prompt, result, tokens and every trace of their ids.
-- KEYS: none (keys are built from job ids)
-- ARGV: job ids …
-- Returns for each job 1 purged, 0 left alone because it waits or runs, -1 no such job of ours.
-- Atomic, so that a job which is brought back at this moment is either purged or runs whole, and
-- nothing of it stays behind. Records of the completion log hold no prompt and no result: they stay.

local function delete(id, queue, worker, eid)
  if eid ~= '' then drop_execution(id, eid, queue, worker or '') end
  for _, registry in ipairs({'finished', 'failed', 'canceled'}) do
    gather('ZREM', RQ .. ':' .. registry .. ':' .. queue, id)
  end
  redis.call('DEL', job_key(id), dependencies_key(id), RQ .. ':results:' .. id,
    RQ .. ':executions:' .. id)
  -- Ids of jobs that RQ has not been told of yet: they would wait for ever.
  if redis.call('HEXISTS', PARENTS, id) == 0 then redis.call('DEL', job_key(id) .. ':dependents') end
end

local function purge(id)
  local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'worker_name', 'hr_lease',
    'hr_idempotency')
  if job[1] and not is_ours(job[2]) then return -1 end
  if job[1] and not ENDED[job[1]] then return 0 end
  -- RQ may have deleted the job itself: what is ours of it goes even then.
  redis.call('DEL', stream_key(id))
  redis.call('ZREM', DEAD, id)
  gather('ZREM', JOBS, id)
  if not job[1] then return -1 end
  local name = standing(job[2], id) -- an older version or stock RQ ended one that was set aside
  if name ~= job[2] then leave(name, job[2], id) end
  if job[5] then redis.call('DEL', job[5]) end
  delete(id, job[2], job[3], job[4] or '')
  return 1
end

local results = {}
for _, id in ipairs(ARGV) do table.insert(results, purge(id)) end
close()
return results
