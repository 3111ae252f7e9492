-- submit: accepts one job, or refuses it because the queue is full.
-- KEYS: 1 the job's hash, 2 its queue, 3 RQ's set of queues, 4 doorbell, 5… every queue of ours
-- ARGV: 1 job id, 2 most waiting jobs, 3 deadline in s after acceptance or '', 4… the RQ job's fields
-- Returns {'accepted' | 'already' | 'full', Redis TIME of acceptance, waiting jobs}
-- Atomic, so that the bound holds and no job exists without standing in a queue. A job id that
-- exists was accepted by an earlier try whose answer got lost: it is not queued twice.

local accepted = redis.call('HGET', KEYS[1], 'hr_accepted')
if accepted then return {'already', accepted, 0} end

local waiting = 0
for i = 5, #KEYS do waiting = waiting + redis.call('LLEN', KEYS[i]) end
if waiting >= tonumber(ARGV[2]) then return {'full', '', waiting} end

local now = redis_now()
redis.call('HSET', KEYS[1], 'hr_accepted', stamp(now), unpack(ARGV, 4))
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'hr_deadline', stamp(now + tonumber(ARGV[3]))) end
redis.call('SADD', KEYS[3], KEYS[2])
redis.call('RPUSH', KEYS[2], ARGV[1])
ring(KEYS[4])
return {'accepted', stamp(now), waiting}
