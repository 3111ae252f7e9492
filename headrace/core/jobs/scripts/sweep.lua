-- sweep: takes the jobs of dead workers back, and forgets ended jobs whose time is over.
-- KEYS: 1 leases
-- ARGV: 1 a worker's name, known to be dead, or '' for every lease that ran out,
--       2 most deaths of a job, 3 now in RQ's format, 4 exc_string of a dead letter,
--       5 ttl of an ended job in s, 6 length of the completion log, 7… names of our queues
-- Returns {redelivered ids, ids that became dead letters}
-- Atomic, so that two sweepers cannot redeliver one job twice.

local now = redis_now()
local redelivered, dead = {}, {}

local ids = {}
if ARGV[1] == '' then
  ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', stamp(now), 'LIMIT', 0, 1000)
else
  for _, composite in ipairs(redis.call('SMEMBERS', RQ .. ':worker:' .. ARGV[1] .. ':executions')) do
    table.insert(ids, string.match(composite, '^[^:]+'))
  end
end

for _, id in ipairs(ids) do
  local job = redis.call('HMGET', job_key(id), 'status', 'hr_lease', 'worker_name')
  if job[1] ~= 'started' or not job[2] then
    redis.call('ZREM', KEYS[1], id)
  elseif ARGV[1] == '' or ARGV[1] == job[3] then
    if redis.call('HINCRBY', job_key(id), 'hr_deaths', 1) >= tonumber(ARGV[2]) then
      end_job(id, failure('failed', 'dead', ARGV[4], ARGV[3], tonumber(ARGV[5]), ARGV[6], id))
      redis.call('ZADD', DEAD, stamp(now + tonumber(ARGV[5])), id)
      table.insert(dead, id)
    else
      put_back(id, job[2])
      if COUNTING then count('redelivered', 1) end
      table.insert(redelivered, id)
    end
  end
end

redis.call('ZREMRANGEBYSCORE', DEAD, '-inf', stamp(now))
for i = 7, #ARGV do
  redis.call('ZREMRANGEBYSCORE', RQ .. ':finished:' .. ARGV[i], '-inf', stamp(now))
  redis.call('ZREMRANGEBYSCORE', RQ .. ':failed:' .. ARGV[i], '-inf', stamp(now))
  redis.call('ZREMRANGEBYSCORE', RQ .. ':canceled:' .. ARGV[i], '-inf', stamp(now - tonumber(ARGV[5])))
end
return {redelivered, dead}
