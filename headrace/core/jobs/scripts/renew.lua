-- renew: keeps the leases of a live worker's jobs, and what RQ shows of them.
-- KEYS: none (keys are built from ids and names)
-- ARGV: 1 now in RQ's format, then id, execution id …
-- Returns how many leases were renewed.
-- Atomic with the check of the lease: a lease that ran out is not taken back from its new owner.

-- A server without memory refuses a script whose first write needs some. This one needs none: a live
-- worker keeps its leases there, since the sweep goes on as well.
redis.call('ZREM', EXPIRIES, '')
local renewed = 0
for i = 2, #ARGV, 2 do
  local id, eid = ARGV[i], ARGV[i + 1]
  local is_mine, _, job = owns(id, eid, 'origin', 'timeout')
  if is_mine then
    local composite = id .. ':' .. eid
    local ttl = execution_ttl(job[4])
    redis.call('ZADD', LEASES, stamp(now + LEASE_S), id)
    redis.call('HSET', job_key(id), 'last_heartbeat', ARGV[1])
    redis.call('HSET', RQ .. ':execution:' .. composite, 'last_heartbeat', stamp(now))
    redis.call('EXPIRE', RQ .. ':execution:' .. composite, ttl)
    redis.call('ZADD', RQ .. ':executions:' .. id, 'XX', stamp(now + ttl + 60), eid)
    redis.call('EXPIRE', RQ .. ':executions:' .. id, ttl + 60)
    redis.call('ZADD', RQ .. ':wip:' .. job[3], 'XX', stamp(now + ttl), composite)
    renewed = renewed + 1
  end
end
return renewed
