-- release: a worker gives back jobs that it does not finish; the attempt does not count. A job that is
-- preempted makes room for interactive work, which its hash counts.
-- KEYS: none (keys are built from job ids)
-- ARGV: 1 released or preempted, then id, execution id …
-- Returns how many jobs were put back, each to the front: the last one goes first.
-- Atomic with the check of the lease: what was lost meanwhile is left to its new owner.

local event, released = ARGV[1], 0
complete(function()
  for i = 2, #ARGV, 2 do
    local id, eid = ARGV[i], ARGV[i + 1]
    if owns(id, eid) then
      redis.call('HINCRBY', job_key(id), 'hr_attempt', -1)
      if event == 'preempted' then
        redis.call('HINCRBY', job_key(id), 'hr_preempted', 1)
        count('preempted', 1)
      end
      put_back(id, eid, event)
      released = released + 1
    end
  end
end)
return released
