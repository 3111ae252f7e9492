-- cancel: ends a job that waits or runs; its worker loses it at its next publish.
-- KEYS: 1 the job's hash
-- ARGV: 1 job id, 2 now in RQ's format, 3 ttl of an ended job in s, 4 length of the completion log,
--       5… names of our queues
-- Returns 1 cancelled, 0 it had ended before, -1 no such job of ours.
-- Atomic, so that a job is either cancelled or has a result, never both.

local job = redis.call('HMGET', KEYS[1], 'status', 'origin', 'hr_committed')
local is_ours = false
for i = 5, #ARGV do is_ours = is_ours or job[2] == ARGV[i] end
if not is_ours then return -1 end
if job[1] ~= 'queued' and job[1] ~= 'started' then return 0 end
if job[3] then forget_last_life(ARGV[1]) end
redis.call('LREM', queue_key(job[2]), 1, ARGV[1])
end_job(ARGV[1], failure('canceled', 'cancelled', '', ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[1]))
return 1
