-- claim: takes as many waiting jobs as a worker has room for and leases them to it.
-- KEYS: 1 leases, 2 doorbell, 3… the queues in order of priority
-- ARGV: 1 worker name, 2 slots, 3 tokens, 4 lease in s, 5 execution ttl in s (RQ's),
--       6 now in RQ's format, 7 exc_string of an expired job, 8 ttl of an ended job in s,
--       9 length of the completion log, 10… one execution id for each slot
-- Returns {claimed, expired, odd}
--   claimed: {id, execution id, data, attempt, s to its deadline or '', the job's token stream}
--   expired: ids whose deadline passed while they waited; they were ended
--   odd:     {id, status or ''} of entries that could not run: no such job, or not waiting
-- Atomic, so that a job is always in a queue, leased, or ended: no crash finds it in between.

local worker, slots, tokens = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local ttl = tonumber(ARGV[5])
local now = redis_now()
local claimed, expired, odd = {}, {}, {}
local full = false
-- An idle worker takes its first job whatever it costs: one too large must fail, not block the rest.
local is_busy = redis.call('SCARD', RQ .. ':worker:' .. worker .. ':executions') > 0

local function start(id, queue, data, remaining)
  local key, eid = job_key(id), ARGV[10 + #claimed]
  local composite = id .. ':' .. eid
  local attempt = redis.call('HINCRBY', key, 'hr_attempt', 1)
  redis.call('HSET', key, 'status', 'started', 'started_at', ARGV[6], 'last_heartbeat', ARGV[6],
    'worker_name', worker, 'hr_lease', eid)
  redis.call('HSETNX', key, 'hr_accepted', stamp(now))
  redis.call('HSETNX', key, 'hr_claimed', stamp(now))
  redis.call('PERSIST', key)
  redis.call('ZADD', KEYS[1], stamp(now + tonumber(ARGV[4])), id)

  local execution = RQ .. ':execution:' .. composite
  redis.call('HSET', execution, 'id', eid, 'job_id', id, 'created_at', stamp(now),
    'last_heartbeat', stamp(now), 'worker_name', worker)
  redis.call('EXPIRE', execution, ttl)
  redis.call('ZADD', RQ .. ':executions:' .. id, stamp(now + ttl + 60), eid)
  redis.call('EXPIRE', RQ .. ':executions:' .. id, ttl + 60)
  redis.call('ZADD', RQ .. ':wip:' .. queue, stamp(now + ttl), composite)
  local executions = RQ .. ':worker:' .. worker .. ':executions'
  redis.call('SADD', executions, composite)
  redis.call('EXPIRE', executions, ttl + 60)
  local published = redis.call('XRANGE', stream_key(id), '-', '+')
  table.insert(claimed, {id, eid, data, attempt, remaining, published})
end

for i = 3, #KEYS do
  while not full and #claimed < slots do
    local id = redis.call('LINDEX', KEYS[i], 0)
    if not id then break end
    local job = redis.call('HMGET', job_key(id), 'status', 'origin', 'data', 'hr_tokens',
      'hr_deadline', 'hr_committed')
    local cost = tonumber(job[4]) or 0
    if job[1] ~= 'queued' then
      redis.call('LPOP', KEYS[i])
      table.insert(odd, {id, job[1] or ''})
    else
      if job[6] then
        forget_last_life(id)
        job[5] = false
      end
      if job[5] and tonumber(job[5]) <= now then
        redis.call('LPOP', KEYS[i])
        end_job(id, failure('failed', 'expired', ARGV[7], ARGV[6], tonumber(ARGV[8]), ARGV[9], id))
        table.insert(expired, id)
      elseif cost > tokens and (#claimed > 0 or is_busy) then
        full = true
      else
        redis.call('LPOP', KEYS[i])
        tokens = tokens - cost
        start(id, job[2], job[3], job[5] and stamp(tonumber(job[5]) - now) or '')
      end
    end
  end
end

if #claimed > 0 then redis.call('HSET', RQ .. ':worker:' .. worker, 'state', 'busy') end
local left = 0
for i = 3, #KEYS do left = left + redis.call('LLEN', KEYS[i]) end
-- What is left is another idle worker's to take; what is not, nobody's to wake for.
if left == 0 then redis.call('DEL', KEYS[2]) elseif #claimed > 0 then ring(KEYS[2]) end
return {claimed, expired, odd}
