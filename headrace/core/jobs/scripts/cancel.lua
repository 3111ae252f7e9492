-- cancel: ends a job that waits or runs, and tells its worker to drop it before its next step.
-- KEYS: 1 the job's hash
-- ARGV: 1 job id, 2 now in RQ's format, 3 the reason
-- Returns 1 cancelled, 0 it had ended before, -1 no such job of ours.
-- Atomic, so that a job is either cancelled or has a result, never both.

local id = ARGV[1]
local job = redis.call('HMGET', KEYS[1], 'status', 'origin', 'hr_committed', 'worker_name',
  'hr_lease')
local status, queue = job[1], job[2]
if not queue or not is_ours(queue) then return -1 end
local WAITING = {queued = true, scheduled = true, deferred = true, created = true,
  ready_to_enqueue = true, rate_limited = true}
local runs = status == 'started'
if not runs and not WAITING[status] then return 0 end
if job[3] then forget_last_life(id) end
if not runs then
  withdraw(queue, id, true)
  for _, registry in ipairs({':scheduled:', ':deferred:', ':ready:'}) do
    redis.call('ZREM', RQ .. registry .. queue, id)
  end
end
end_job(id, failure(id, 'canceled', ARGV[3], '', ARGV[2]))
if runs then
  redis.call('PUBLISH', RQ .. ':pubsub:' .. job[4],
    cjson.encode({command = 'drop-execution', job_id = id, execution_id = job[5] or ''}))
end
close()
return 1
