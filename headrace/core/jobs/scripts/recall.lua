-- recall: puts back what a worker was given in a claim whose answer it never got.
-- KEYS: none (keys are built from ids and names)
-- ARGV: 1 worker name, then the execution ids that it knows of …
-- Returns how many jobs were put back; their attempts do not count, and nobody died.
-- Atomic with the check of the leases: what another worker has meanwhile is left to it.

local known = {}
for i = 2, #ARGV do known[ARGV[i]] = true end

local recalled = 0
complete(function()
  for _, composite in ipairs(redis.call('SMEMBERS', executions_key(ARGV[1]))) do
    local id, eid = string.match(composite, '^(.+):([^:]+)$')
    if id and not known[eid] then
      if owns(id, eid) then
        redis.call('HINCRBY', job_key(id), 'hr_attempt', -1)
        put_back(id, eid, 'recalled')
        recalled = recalled + 1
      else
        drop_attempt(id, eid, ARGV[1])
      end
    end
  end
end)
return recalled
