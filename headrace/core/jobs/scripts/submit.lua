-- submit: accepts one job, or refuses it because the queue is full.
-- KEYS: 1 the job's hash, 2 RQ's set of queues, 3 the caller's idempotency key or ''
-- ARGV: 1 job id, 2 its queue, 3 most waiting jobs, 4 most waiting tokens,
--       5 deadline in s after acceptance or '', 6 longest wait in s, 7 fingerprint of the request,
--       8 tenant, 9 most jobs that it may have unfinished, 10 and 11 most jobs and tokens that are
--       its part of the queue ('' each: no limit), 12… the RQ job's fields
-- Returns {verdict, job id, Redis TIME of acceptance, waiting jobs, waiting tokens}
--   verdict: accepted; already (this id, or this idempotency key with the same fingerprint: the id
--   is that of the job accepted then); conflict (that key with another fingerprint); full;
--   running_jobs or queue_share (the limit that the tenant is at)
-- Atomic, so that the bounds hold, a key names one job, and no job exists without standing in a
-- queue. A job id that exists was accepted by an earlier try whose answer got lost.

local id = ARGV[1]
if KEYS[3] ~= '' then
  local known = redis.call('HMGET', KEYS[3], 'id', 'fingerprint')
  if known[1] then
    local verdict = known[2] == ARGV[7] and 'already' or 'conflict'
    return {verdict, known[1], redis.call('HGET', job_key(known[1]), 'hr_accepted') or '0', 0, 0}
  end
end
local accepted = redis.call('HGET', KEYS[1], 'hr_accepted')
if accepted then return {'already', id, accepted, 0, 0} end

local waiting, tokens = 0, 0
for _, queue in ipairs(QUEUES) do
  waiting = waiting + redis.call('LLEN', queue_key(queue))
  tokens = tokens + (tonumber(redis.call('HGET', share_key(queue), 'tokens')) or 0)
end
if waiting >= tonumber(ARGV[3]) or tokens >= tonumber(ARGV[4]) then
  return {'full', id, '', waiting, tokens}
end
local broken = broken_quota(ARGV[8], 1, tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]))
if broken then return {broken, id, '', waiting, tokens} end

local expires = now + tonumber(ARGV[6])
redis.call('HSET', KEYS[1], 'hr_accepted', stamp(now), unpack(ARGV, 12))
if ARGV[5] ~= '' then
  local deadline = now + tonumber(ARGV[5])
  redis.call('HSET', KEYS[1], 'hr_deadline', stamp(deadline))
  expires = math.min(expires, deadline)
end
redis.call('SADD', KEYS[2], queue_key(ARGV[2]))
enqueue(ARGV[2], id, false)
expire_at(id, expires)
if KEYS[3] ~= '' then
  redis.call('HSET', KEYS[1], 'hr_idempotency', KEYS[3])
  redis.call('HSET', KEYS[3], 'id', id, 'fingerprint', ARGV[7])
  redis.call('EXPIRE', KEYS[3], RESULT_TTL_S)
end
ring()
return {'accepted', id, stamp(now), waiting, tokens}
