-- renew: keeps the leases of a live worker's jobs, and what RQ shows of them.
-- KEYS: 1 leases
-- ARGV: 1 lease in s, 2 execution ttl in s (RQ's), 3 now in RQ's format, then id, execution id …
-- Returns how many leases were renewed.
-- Atomic with the check of the lease: a lease that ran out is not taken back from its new owner.

local now, ttl, renewed = redis_now(), tonumber(ARGV[2]), 0
for i = 4, #ARGV, 2 do
  local id, eid = ARGV[i], ARGV[i + 1]
  if owns(id, eid) then
    local composite = id .. ':' .. eid
    local queue = redis.call('HGET', job_key(id), 'origin')
    redis.call('ZADD', KEYS[1], stamp(now + tonumber(ARGV[1])), id)
    redis.call('HSET', job_key(id), 'last_heartbeat', ARGV[3])
    redis.call('HSET', RQ .. ':execution:' .. composite, 'last_heartbeat', stamp(now))
    redis.call('EXPIRE', RQ .. ':execution:' .. composite, ttl)
    redis.call('ZADD', RQ .. ':executions:' .. id, 'XX', stamp(now + ttl + 60), eid)
    redis.call('EXPIRE', RQ .. ':executions:' .. id, ttl + 60)
    redis.call('ZADD', RQ .. ':wip:' .. queue, 'XX', stamp(now + ttl), composite)
    renewed = renewed + 1
  end
end
return renewed
