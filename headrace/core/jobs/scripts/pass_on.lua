-- pass_on: a worker gives back jobs that were tokenised for another model than it runs. Their hashes
-- did not say so (an older version wrote them); from here on they do, and the next claim sets each
-- aside. The attempt does not count.
-- KEYS: none (keys are built from job ids)
-- ARGV: for each job 4 values: id, execution id, hash of its model's card, name of its model
-- Returns how many jobs were put back.
-- Atomic with the check of the lease: what was lost meanwhile is left to its new owner.

local passed_on = 0
complete(function()
  for i = 1, #ARGV, 4 do
    local id, eid = ARGV[i], ARGV[i + 1]
    if owns(id, eid) then
      redis.call('HSET', job_key(id), 'hr_card', ARGV[i + 2], 'hr_model', ARGV[i + 3])
      redis.call('HINCRBY', job_key(id), 'hr_attempt', -1)
      put_back(id, eid, 'released')
      passed_on = passed_on + 1
    end
  end
end)
return passed_on
