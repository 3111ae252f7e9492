-- release: a draining worker gives back what it could not finish; the attempt does not count.
-- KEYS: none (keys are built from job ids)
-- ARGV: id, execution id …
-- Returns how many jobs were put back.
-- Atomic with the check of the lease: what was lost meanwhile is left to its new owner.

local released = 0
complete(function()
  for i = 1, #ARGV, 2 do
    if owns(ARGV[i], ARGV[i + 1]) then
      redis.call('HINCRBY', job_key(ARGV[i]), 'hr_attempt', -1)
      put_back(ARGV[i], ARGV[i + 1], 'released')
      released = released + 1
    end
  end
end)
return released
