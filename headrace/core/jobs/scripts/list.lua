-- list: looks through the list of all jobs, from a time back, for those of one tenant.
-- KEYS: none (keys are built from job ids)
-- ARGV: 1 a time, inf for the newest, 2 how many jobs to look at before that time, 3 the tenant or ''
-- Returns {for each job, or each of the tenant, {time of acceptance, id, status, reason or ''},
--          time of the oldest job that was looked at, or '' where there is none before it}
-- Jobs of one time are looked at together: a place between them could only be told by the id of one,
-- which may be another tenant's. So those of ARGV[1] itself are in the answer as well.

local function back(from, to, ...)
  return redis.call('ZREVRANGEBYSCORE', JOBS, from, to, 'WITHSCORES', ...)
end

local last = back('(' .. ARGV[1], '-inf', 'LIMIT', ARGV[2] - 1, 1)[2] or '-inf'
local listed, found = back(ARGV[1], last), {}
for i = 1, #listed, 2 do
  local job = redis.call('HMGET', job_key(listed[i]), 'status', 'hr_reason', 'hr_tenant')
  if job[1] and (ARGV[3] == '' or ARGV[3] == (job[3] or 'default')) then
    found[#found + 1] = {listed[i + 1], listed[i], job[1], job[2] or ''}
  end
end
local is_end = last == '-inf' or redis.call('ZCOUNT', JOBS, '-inf', '(' .. last) == 0
return {found, is_end and '' or last}
