-- claim: takes as many waiting jobs as a worker has room for and leases them to it.
-- KEYS: none (keys are built from ids and names)
-- ARGV: 1 worker name, 2 slots, 3 tokens, 4 slots and 5 tokens of these that batch work may have,
--       6 newest payload version that the worker reads, 7 s of waiting that make up for one
--       priority, 8 now in RQ's format, 9 exc_string of an expired job, 10… an execution id a slot
-- Returns {claimed, expired, odd, draining}
--   claimed:  {id, execution id, data, attempt, s to its deadline or '', its token stream so far,
--              queue, s it may run as RQ writes them (-1: no limit, '': RQ's default), 1 if it must
--              run alone, the field of an RQ feature that it wants and we do not have or ''}
--   expired:  ids whose time was over while they waited; they were ended
--   odd:      {id, status or ''} of entries that could not run: no such job, or not waiting
--   draining: 1 for a worker that is to take no more, and after `rq suspend`; nothing was claimed
-- Atomic, so that a job is always in a queue, leased, or ended: no crash finds it in between.
--
-- The head of each queue is its lowest fair-share tag. Among the heads goes first who has waited
-- longest, where each priority is worth ARGV[7] seconds: interactive jobs pass batch work, but no
-- batch job waits for ever. A job too large for the room is waited for, not overtaken.

local worker, slots, tokens = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local batch_slots, batch_tokens = tonumber(ARGV[4]), tonumber(ARGV[5])
local newest_version, ageing_s = tonumber(ARGV[6]), tonumber(ARGV[7])
local BATCH = #QUEUES
local MOST_SKIPPED, MOST_DISCARDED = 1000, 200
local discarded = 0
local claimed, expired, odd = {}, {}, {}
local longest_ttl = 0
-- An idle worker takes its first job whatever it costs: one too large must fail, not block the rest.
local is_busy = redis.call('SCARD', executions_key(worker)) > 0

if redis.call('SISMEMBER', DRAINING, worker) == 1 or redis.call('EXISTS', SUSPENDED) == 1 then
  return {claimed, expired, odd, 1}
end

local FOREIGN = {'success_callback_name', 'failure_callback_name', 'stopped_callback_name',
  'webhooks', 'repeats_left', 'rate_limit_key'}

-- What a job of stock RQ asks for and we do not do; '' for nothing.
local function unsupported(id)
  for i, value in ipairs(redis.call('HMGET', job_key(id), unpack(FOREIGN))) do
    if value and value ~= '' then return FOREIGN[i] end
  end
  return ''
end

-- A job in a queue as a table; nil where it cannot run, and then it no longer stands there.
local function read(queue, id)
  local fields = redis.call('HMGET', job_key(id), 'status', 'data', 'hr_tokens', 'hr_attempt',
    'hr_accepted', 'hr_claimed', 'hr_first_token', 'hr_deadline', 'hr_expires', 'hr_version', 'timeout',
    'hr_timeline')
  local job = {
    id = id, queue = queue, data = fields[2], cost = tonumber(fields[3] or nil) or 1,
    attempt = (tonumber(fields[4] or nil) or 0) + 1,
    accepted = tonumber(fields[5] or nil) or now, claimed_at = fields[6] or NOW, has_tokens = fields[7], deadline = fields[8],
    version = tonumber(fields[10] or nil), timeout = fields[11] or '',
    timeline = fields[12],
  }
  if fields[1] ~= 'queued' then
    discarded = discarded + 1
    if withdraw(queue, id, false) then table.insert(odd, {id, fields[1] or ''}) end
    end_as_rq_did(id, fields[1])
    return nil
  end
  if fields[9] and tonumber(fields[9]) <= now then
    discarded = discarded + 1
    if withdraw(queue, id, true) then
      end_job(id, failure(id, 'failed', 'expired', ARGV[9], ARGV[8]))
      table.insert(expired, id)
    end
    return nil
  end
  return job
end

local function is_readable(job)
  return (job.version or 1) <= newest_version
end

local LEASED_UNTIL = stamp(now + LEASE_S)

local function start(job, is_alone)
  local id, eid = job.id, ARGV[10 + #claimed]
  local composite = id .. ':' .. eid
  local ttl = execution_ttl(job.timeout)
  gather_scored(LEASES, LEASED_UNTIL, id)
  gather('SADD', executions_key(worker), composite)
  redis.call('HSET', job_key(id), 'status', 'started', 'started_at', ARGV[8],
    'last_heartbeat', ARGV[8], 'worker_name', worker, 'hr_lease', eid, 'hr_attempt', job.attempt,
    'hr_claimed', job.claimed_at, 'hr_timeline', noted(job.timeline,
      {event = 'claimed', worker = worker, attempt = job.attempt, alone = is_alone or nil}))
  if is_alone then redis.call('HSET', job_key(id), 'hr_alone', '1') end

  local execution, executions = RQ .. ':execution:' .. composite, RQ .. ':executions:' .. id
  redis.call('HSET', execution, 'id', eid, 'job_id', id, 'created_at', NOW, 'last_heartbeat', NOW,
    'worker_name', worker)
  redis.call('EXPIRE', execution, ttl)
  redis.call('ZADD', executions, stamp(now + ttl + 60), eid)
  redis.call('EXPIRE', executions, ttl + 60)
  gather_scored(RQ .. ':wip:' .. job.queue, stamp(now + ttl), composite)
  longest_ttl = math.max(longest_ttl, ttl)
  claimed[#claimed + 1] = {
    id, eid, job.data, job.attempt,
    job.deadline and stamp(tonumber(job.deadline) - now) or '',
    job.has_tokens and redis.call('XRANGE', stream_key(id), '-', '+') or {},
    job.queue, job.timeout, is_alone and 1 or 0, job.version and '' or unsupported(id),
  }
end

-- The suspect whose turn it is: a job that workers died of runs alone, so that no batch mate is
-- blamed for it.
local function next_suspect()
  local best
  for rank, queue in ipairs(QUEUES) do
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', fair_key(queue), '+inf', '+inf', 'LIMIT', 0,
      MOST_DISCARDED)) do
      local job = read(queue, id)
      if job and is_readable(job) then
        job.due = job.accepted + rank * ageing_s
        if not best or job.due < best.due then best = job end
      end
    end
  end
  return best
end

local function others_wait()
  for _, queue in ipairs(QUEUES) do
    if redis.call('ZCOUNT', fair_key(queue), '-inf', '(+inf') > 0 then return true end
  end
  return false
end

-- Whether a suspect may run now: one at a time in the whole fleet, and where others wait they have
-- the worker for as long as the last suspect had it.
local function is_quiet()
  local last = redis.call('HMGET', ISOLATOR, 'job', 'since', 'worker', 'until')
  if is_busy and last[3] and last[3] ~= worker and tonumber(last[4]) > now then return false end
  if not last[1] then return true end
  local job = redis.call('HMGET', job_key(last[1]), 'status', 'hr_alone', 'hr_committed')
  if job[1] == 'started' and job[2] == '1' then return false end
  local ended_at = tonumber(job[3] or nil)
  return not ended_at or now >= 2 * ended_at - tonumber(last[2]) or not others_wait()
end

-- Whether this worker runs a suspect: nothing may run beside it.
local function runs_alone()
  local id = is_busy and redis.call('HGET', ISOLATOR, 'job')
  if not id then return false end
  local job = redis.call('HMGET', job_key(id), 'status', 'hr_alone', 'worker_name')
  return job[1] == 'started' and job[2] == '1' and job[3] == worker
end

-- One worker at a time empties itself for a suspect; the others go on. True where this worker may
-- claim nothing else.
local function isolate()
  local job = next_suspect()
  if not job or not is_quiet() then return false end
  if is_busy then
    redis.call('HSET', ISOLATOR, 'worker', worker, 'until', stamp(now + LEASE_S))
    return true
  end
  if not dequeue(job.queue, job.id, job.cost) then return false end
  redis.call('DEL', ISOLATOR)
  redis.call('HSET', ISOLATOR, 'job', job.id, 'since', NOW)
  start(job, true)
  return true
end

local highest = {}
local ran_out = false -- of room, so that jobs are left waiting

-- The jobs of a queue in the order of their turns, read from Redis a roomful at a time. Those that
-- only newer workers can read are left to them.
local function line_up(queue)
  local place, skipped, batch, next_place = 1, 0, nil, 0
  return function()
    while skipped < MOST_SKIPPED and discarded < MOST_DISCARDED do
      if not batch or place > #batch then
        batch = redis.call('ZRANGE', fair_key(queue), next_place, next_place + slots - 1, 'WITHSCORES')
        place, next_place = 1, next_place + slots
      end
      local id, tag = batch[place], tonumber(batch[place + 1])
      if not id or tag == math.huge then return nil end
      place = place + 2
      local job = read(queue, id)
      if job and is_readable(job) then
        job.tag = tag
        return job
      end
      if job then skipped = skipped + 1 end
    end
  end
end

-- Fills the room, job by job.
local function fill()
  local lines, heads, is_open = {}, {}, {}
  for rank, queue in ipairs(QUEUES) do lines[rank], is_open[rank] = line_up(queue), true end
  while #claimed < slots do
    local best
    for rank = 1, #QUEUES do
      if is_open[rank] and not heads[rank] then
        heads[rank] = lines[rank]()
        is_open[rank] = heads[rank] ~= nil
      end
      if is_open[rank] then
        heads[rank].due = heads[rank].accepted + rank * ageing_s
        if not best or heads[rank].due < heads[best].due then best = rank end
      end
    end
    if not best then return end
    local job = heads[best]
    local is_first = #claimed == 0 and not is_busy
    if best == BATCH and not is_first and (batch_slots < 1 or job.cost > batch_tokens) then
      is_open[best] = false
    elseif job.cost > tokens and not is_first then
      ran_out = true
      return
    else
      heads[best] = nil
      if dequeue(job.queue, job.id, job.cost) then
        start(job, false)
        tokens = tokens - job.cost
        if best == BATCH then batch_slots, batch_tokens = batch_slots - 1, batch_tokens - job.cost end
        highest[best] = math.floor(job.tag)
      end
    end
  end
end

-- Moves a queue's virtual time on, and forgets the tenants whose turn has come.
local function move_on(rank)
  local share = share_key(QUEUES[rank])
  if redis.call('EXISTS', fair_key(QUEUES[rank])) == 1
    and (tonumber(redis.call('HGET', share, 'now')) or 0) < highest[rank] then
    redis.call('HSET', share, 'now', stamp(highest[rank]))
    redis.call('ZREMRANGEBYSCORE', tenants_key(QUEUES[rank]), '-inf', stamp(highest[rank]))
  end
end

complete(function()
  for _, queue in ipairs(QUEUES) do adopt(queue, odd) end
  if not runs_alone() and not isolate() then fill() end
end)
for rank in pairs(highest) do move_on(rank) end

if #claimed > 0 then
  redis.call('HSET', RQ .. ':worker:' .. worker, 'state', 'busy')
  if redis.call('TTL', executions_key(worker)) < longest_ttl + 60 then
    redis.call('EXPIRE', executions_key(worker), longest_ttl + 60)
  end
end
local left = 0
for _, queue in ipairs(QUEUES) do left = left + redis.call('LLEN', queue_key(queue)) end
-- What is left is another idle worker's to take; what is not, nobody's to wake for.
if left == 0 then redis.call('DEL', DOORBELL) elseif #claimed > 0 then ring() end
-- A fleet is full from the claim that ran out of room until one leaves nothing; then its pace counts.
if left == 0 then
  redis.pcall('HDEL', PACE, 'full_since')
elseif ran_out or #claimed == slots then
  redis.pcall('HSETNX', PACE, 'full_since', NOW)
end
return {claimed, expired, odd, 0}
