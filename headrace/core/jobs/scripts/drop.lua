-- drop: removes what is left of attempts that somebody else ended (stock RQ's cancel or delete).
-- KEYS: none (keys are built from job ids)
-- ARGV: 1 worker name, then id, execution id, queue …
-- Returns nothing. What they left unsaid is said: the stream's end, the record, the time to live.
-- Atomic, so that an idle worker is not taken for a busy one. A lease that is another's is left to it.

for i = 2, #ARGV, 3 do
  local id, eid = ARGV[i], ARGV[i + 1]
  local lease = redis.call('HGET', job_key(id), 'hr_lease') or ''
  local is_anothers = lease ~= '' and lease ~= eid
  redis.call('DEL', RQ .. ':execution:' .. id .. ':' .. eid)
  redis.call('ZREM', RQ .. ':executions:' .. id, eid) -- another attempt may have its own there
  redis.call('ZREM', RQ .. ':wip:' .. ARGV[i + 2], id .. ':' .. eid)
  redis.call('SREM', executions_key(ARGV[1]), id .. ':' .. eid)
  if not is_anothers then
    gather('ZREM', LEASES, id)
    if lease ~= '' then redis.call('HSET', job_key(id), 'hr_lease', '') end
    end_as_rq_did(id, redis.call('HGET', job_key(id), 'status'))
  end
end
close()
