-- reprioritise: moves a waiting job to the end of another queue.
-- KEYS: 1 the job's hash, 2 the queue it goes to, 3 RQ's set of queues
-- ARGV: 1 job id, 2 name of the queue it goes to, 3… names of our queues
-- Returns 1 it waits there (also where it did before), 0 it waits no longer, -1 no such job of ours.
-- Atomic, so that no claim finds the job in no queue, or in two.

local function is_ours(queue)
  for i = 3, #ARGV do
    if queue == ARGV[i] then return true end
  end
  return false
end

local job = redis.call('HMGET', KEYS[1], 'status', 'origin')
if not is_ours(job[2]) then return -1 end
if job[1] ~= 'queued' then return 0 end
if job[2] == ARGV[2] then return 1 end
if redis.call('LREM', queue_key(job[2]), 1, ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'origin', ARGV[2])
redis.call('SADD', KEYS[3], KEYS[2])
redis.call('RPUSH', KEYS[2], ARGV[1])
ring(DOORBELL)
return 1
