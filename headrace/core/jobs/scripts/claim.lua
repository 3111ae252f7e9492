-- claim: takes as many waiting jobs as a worker has room for and leases them to it.
-- KEYS: none (keys are built from ids and names)
-- ARGV: 1 worker name, 2 free slots, 3 free tokens, 4 slots and 5 tokens that jobs of lower priority
--       give back where interactive jobs need them, 6 to 9 slots and tokens that default work, and
--       that batch work, is guaranteed and does not hold, 10 newest payload version that the worker
--       reads, 11 now in RQ's format, 12 exc_string of an expired job, 13 hash of the worker's model
--       card, or '' for one that runs jobs of any, 14… an execution id for each slot of 2 and 4
-- Returns {claimed, expired, odd, draining, aside}
--   claimed:  {id, execution id, data, attempt, s to its deadline or '', its token stream so far,
--              queue, s it may run as RQ writes them (-1: no limit, '': RQ's default), 1 if it must
--              run alone, the field of an RQ feature that it wants and we do not have or '',
--              how often it was preempted}
--   expired:  ids whose time was over while they waited; they were ended
--   odd:      {id, status or ''} of entries that could not run: no such job, or not waiting
--   draining: 1 for a worker that is to take no more, and after `rq suspend`; nothing was claimed
--   aside:    {model, 1} for each job that was set aside, as it is of another card
-- Atomic, so that a job is always in a queue, leased, or ended: no crash finds it in between.
--
-- The head of each queue is its lowest fair-share tag. Default and batch work go first where they hold
-- less than they are guaranteed; then the highest priority, however long the others have waited. A job
-- too large for the room is waited for, not overtaken by its own priority or a lower one. For a head
-- that is guaranteed its turn, tokens up to its guarantee are kept free of higher priorities, too.
--
-- Jobs of other cards are set aside, so many a call at most: each is passed once. Where jobs wait
-- that were set aside for the worker's own card, those of its card in the queues join them first,
-- since one fair order says whose turn it is.

local worker, slots, tokens = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local yielded = {slots = tonumber(ARGV[4]), tokens = tonumber(ARGV[5])}
local INTERACTIVE, DEFAULT, BATCH = 1, 2, 3
local owed = {
  [DEFAULT] = {slots = tonumber(ARGV[6]), tokens = tonumber(ARGV[7])},
  [BATCH] = {slots = tonumber(ARGV[8]), tokens = tonumber(ARGV[9])},
}
local newest_version = tonumber(ARGV[10])
local RQ_NOW, EXPIRED_ERROR, CARD = ARGV[11], ARGV[12], ARGV[13]
local FREE_SLOTS, MOST_CLAIMED = slots, slots + yielded.slots
local AHEAD = 64 -- `AHEAD_TOKENS` of types.py
local MOST_SKIPPED, MOST_DISCARDED, MOST_MOVED = 1000, 200, 25
local discarded, moved = 0, 0
front_ids = math.max(1, math.min(MOST_CLAIMED, NEAR))
local claimed, expired, odd, aside = {}, {}, {}, {}
local longest_ttl = 0
-- An idle worker takes its first job whatever it costs: one too large must fail, not block the rest.
local is_busy = redis.call('SCARD', executions_key(worker)) > 0

if redis.call('SISMEMBER', DRAINING, worker) == 1 or redis.call('EXISTS', SUSPENDED) == 1 then
  return {claimed, expired, odd, 1, aside}
end

local HAS_ASIDE = redis.call('HEXISTS', ASIDE, CARD) == 1
local woken = {} -- cards that jobs were set aside for

-- Where jobs of a queue wait that this worker may take, and in what order.
local function own_name(queue)
  return HAS_ASIDE and aside_name(queue, CARD) or queue
end

-- The queue first: what of it is set aside now is found in the other one.
local function own_names(queue)
  return HAS_ASIDE and {queue, aside_name(queue, CARD)} or {queue}
end

-- Whether a job in a queue has to wait among those of its card instead, which may be this one's.
-- A job of an older version names none: its worker finds out, and gives it back with its name.
local function belongs_aside(card)
  return CARD ~= '' and card and (HAS_ASIDE or card ~= CARD)
end

local function move_aside(job)
  moved = moved + 1
  if not set_aside(job.queue, job.id, job.card) or job.card == CARD then return end
  woken[job.card] = true
  aside[#aside + 1] = {job.model or '', 1}
  redis.call('HSET', job_key(job.id), 'hr_timeline',
    noted(job.timeline, {event = 'set_aside', worker = worker}))
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

-- The cache places for which a job needs room: `Request.kept_tokens`. One without a limit of its
-- caller's, of which `expected` tokens are in its cost, needs room for what it has and a little more.
local function room_of(job, expected, bound)
  if not expected then return job.cost end
  local last = job.has_tokens
    and redis.call('XREVRANGE', stream_key(job.id), '+', '-', 'COUNT', 1)[1]
  local made = last and tonumber(string.match(last[1], '^%d+')) or 0
  return math.min(bound, job.cost - expected + made + AHEAD)
end

-- A job in a queue as a table; nil where it cannot run, and then it no longer stands there. `name`
-- is the order in which it was found.
local function read(name, queue, id)
  local fields = redis.call('HMGET', job_key(id), 'status', 'data', 'hr_tokens', 'hr_attempt',
    'hr_accepted', 'hr_claimed', 'hr_first_token', 'hr_deadline', 'hr_expires', 'hr_version', 'timeout',
    'hr_timeline', 'hr_card', 'hr_model', 'hr_preempted', 'hr_expected', 'hr_bound')
  local job = {
    id = id, name = name, queue = queue, card = fields[13], model = fields[14],
    data = fields[2], cost = tonumber(fields[3] or nil) or 1,
    attempt = (tonumber(fields[4] or nil) or 0) + 1,
    accepted = tonumber(fields[5] or nil) or now, claimed_at = fields[6] or NOW, has_tokens = fields[7], deadline = fields[8],
    version = tonumber(fields[10] or nil), timeout = fields[11] or '',
    timeline = fields[12], preemptions = fields[15] or 0,
  }
  job.room = room_of(job, tonumber(fields[16] or nil), tonumber(fields[17] or nil))
  if fields[1] ~= 'queued' then
    discarded = discarded + 1
    gather('ZREM', EXPIRIES, id)
    if leave(name, queue, id, false) and name == queue then
      table.insert(odd, {id, fields[1] or ''})
    end
    end_as_rq_did(id, fields[1])
    return nil
  end
  if fields[9] and tonumber(fields[9]) <= now then
    discarded = discarded + 1
    gather('ZREM', EXPIRIES, id)
    if leave(name, queue, id, true) then
      end_job(id, failure(id, 'failed', 'expired', EXPIRED_ERROR, RQ_NOW))
      table.insert(expired, id)
    end
    return nil
  end
  if name == queue and belongs_aside(job.card) then return move_aside(job) end
  return job
end

local function is_readable(job)
  return (job.version or 1) <= newest_version
end

local LEASED_UNTIL = stamp(now + LEASE_S)

local claim_notes = {} -- by attempt
local function claim_note(attempt, is_alone)
  local key = is_alone and -attempt or attempt
  claim_notes[key] = claim_notes[key] or note_of({event = 'claimed', worker = worker,
    attempt = attempt, alone = is_alone or nil})
  return claim_notes[key]
end

local function start(job, is_alone)
  local id, eid = job.id, ARGV[14 + #claimed]
  local composite = id .. ':' .. eid
  local ttl = execution_ttl(job.timeout)
  gather_scored(LEASES, LEASED_UNTIL, id)
  gather('SADD', executions_key(worker), composite)
  redis.call('HSET', job_key(id), 'status', 'started', 'started_at', RQ_NOW,
    'last_heartbeat', RQ_NOW, 'worker_name', worker, 'hr_lease', eid, 'hr_attempt', job.attempt,
    'hr_claimed', job.claimed_at, 'hr_timeline',
    with_note(job.timeline, claim_note(job.attempt, is_alone)))
  if is_alone then redis.call('HSET', job_key(id), 'hr_alone', '1') end

  local execution, executions = RQ .. ':execution:' .. composite, RQ .. ':executions:' .. id
  redis.call('HSET', execution, 'id', eid, 'job_id', id, 'created_at', NOW, 'last_heartbeat', NOW,
    'worker_name', worker)
  redis.call('EXPIRE', execution, ttl)
  redis.call('ZADD', executions, stamp_after(ttl + 60), eid)
  redis.call('EXPIRE', executions, ttl + 60)
  gather_scored(RQ .. ':wip:' .. job.queue, stamp_after(ttl), composite)
  longest_ttl = math.max(longest_ttl, ttl)
  claimed[#claimed + 1] = {
    id, eid, job.data, job.attempt,
    job.deadline and stamp(tonumber(job.deadline) - now) or '',
    job.has_tokens and redis.call('XRANGE', stream_key(id), '-', '+') or {},
    job.queue, job.timeout, is_alone and 1 or 0, job.version and '' or unsupported(id),
    job.preemptions,
  }
end

-- The suspect whose turn it is: a job that workers died of runs alone, so that no batch mate is
-- blamed for it.
local function next_suspect()
  for _, queue in ipairs(QUEUES) do
    local oldest
    for _, name in ipairs(own_names(queue)) do
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', fair_key(name), '+inf', '+inf', 'LIMIT', 0,
        MOST_DISCARDED)) do
        local job = read(name, queue, id)
        if job and is_readable(job) and (not oldest or job.accepted < oldest.accepted) then
          oldest = job
        end
      end
    end
    if oldest then return oldest end
  end
end

local function others_wait()
  for _, queue in ipairs(QUEUES) do
    for _, name in ipairs(own_names(queue)) do
      if redis.call('ZCOUNT', fair_key(name), '-inf', '(+inf') > 0 then return true end
    end
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
-- claim nothing else. A full worker does not begin to: a job has to end in any case.
local function isolate()
  if FREE_SLOTS == 0 and redis.call('HGET', ISOLATOR, 'worker') ~= worker then return false end
  local job = next_suspect()
  if not job or not is_quiet() then return false end
  if is_busy then
    redis.call('HSET', ISOLATOR, 'worker', worker, 'until', stamp(now + LEASE_S))
    return true
  end
  if not dequeue(job.name, job.queue, job.id, job.cost) then return false end
  redis.call('DEL', ISOLATOR)
  redis.call('HSET', ISOLATOR, 'job', job.id, 'since', NOW)
  start(job, true)
  return true
end

local highest = {}
local ran_out = false -- of room, so that jobs are left waiting
local nameless = {} -- by queue: jobs that name no card, found while the others were sorted out

-- The jobs of a queue, or of those set aside, in the order of their turns, read from Redis a roomful
-- at a time. Those that only newer workers can read are left to them.
local function line_up(name, queue)
  local place, skipped, batch, next_place = 1, 0, nil, 0
  local first = nameless[queue] or {}
  return function()
    if #first > 0 then return table.remove(first, 1) end
    while skipped < MOST_SKIPPED and discarded < MOST_DISCARDED
      and (moved < MOST_MOVED or name ~= queue) do
      if not batch or place > #batch then
        batch = redis.call('ZRANGE', fair_key(name), next_place, next_place + MOST_CLAIMED - 1,
          'WITHSCORES')
        place, next_place = 1, next_place + MOST_CLAIMED
      end
      local id, tag = batch[place], tonumber(batch[place + 1])
      if not id or tag == math.huge then return nil end
      place = place + 2
      local job = read(name, queue, id)
      if job and is_readable(job) then
        job.tag = tag
        return job
      end
      if job then skipped = skipped + 1 end
    end
  end
end

-- Has what stands in the queues wait among the jobs of its card. Suspects are sorted out by
-- next_suspect().
local function sort_out()
  for _, queue in ipairs(QUEUES) do
    nameless[queue] = {}
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', fair_key(queue), '-inf', '(+inf', 'LIMIT', 0,
      MOST_MOVED)) do
      local job = moved < MOST_MOVED and read(queue, queue, id)
      if job and is_readable(job) then
        job.tag = 0
        table.insert(nameless[queue], job)
      end
    end
  end
end

-- Fills the room, job by job.
local function fill()
  local lines, heads, is_open = {}, {}, {}
  for rank, queue in ipairs(QUEUES) do
    lines[rank], is_open[rank] = line_up(own_name(queue), queue), true
  end

  local function head(rank)
    if is_open[rank] and not heads[rank] then
      heads[rank] = lines[rank]()
      is_open[rank] = heads[rank] ~= nil
    end
    return heads[rank]
  end

  local function fits(job, room_tokens)
    return job.room <= room_tokens or (#claimed == 0 and not is_busy)
  end

  -- The priority whose head goes next; nil where there is none, or where it has to wait for room.
  local function next_turn()
    local reserved = 0
    for rank = DEFAULT, BATCH do
      if slots > 0 and owed[rank].slots > 0 and owed[rank].tokens > 0 and head(rank) then
        if fits(heads[rank], tokens - reserved) then return rank end
        reserved = reserved + math.min(heads[rank].room, owed[rank].tokens)
      end
    end
    local room_tokens = tokens - reserved
    for rank = INTERACTIVE, BATCH do
      if (rank == INTERACTIVE or slots > 0) and head(rank) then
        if rank == INTERACTIVE then room_tokens = room_tokens + yielded.tokens end
        ran_out = not fits(heads[rank], room_tokens)
        return not ran_out and rank or nil
      end
    end
  end

  local function take_room(rank, cost)
    if slots > 0 then slots = slots - 1 else yielded.slots = yielded.slots - 1 end
    tokens = tokens - cost
    if tokens < 0 then
      yielded.tokens, tokens = yielded.tokens + tokens, 0
    end
    if owed[rank] then
      owed[rank].slots, owed[rank].tokens = owed[rank].slots - 1, owed[rank].tokens - cost
    end
  end

  while #claimed < MOST_CLAIMED do
    local rank = next_turn()
    if not rank then return end
    local job = heads[rank]
    heads[rank] = nil
    if dequeue(job.name, job.queue, job.id, job.cost) then
      start(job, false)
      take_room(rank, job.room)
      highest[rank] = math.floor(job.tag)
    end
  end
end

-- Moves a queue's virtual time on, and forgets the tenants whose turn has come.
local function move_on(rank)
  local name = own_name(QUEUES[rank])
  local share = share_key(name)
  if redis.call('EXISTS', fair_key(name)) == 1
    and (tonumber(redis.call('HGET', share, 'now')) or 0) < highest[rank] then
    redis.call('HSET', share, 'now', stamp(highest[rank]))
    redis.call('ZREMRANGEBYSCORE', tenants_key(name), '-inf', stamp(highest[rank]))
  end
end

complete(function()
  for _, queue in ipairs(QUEUES) do adopt(queue, odd) end
  if not runs_alone() and not isolate() then
    if HAS_ASIDE then sort_out() end
    fill()
  end
end)
for rank in pairs(highest) do move_on(rank) end

if #claimed > 0 then
  redis.call('HSET', RQ .. ':worker:' .. worker, 'state', 'busy')
  if redis.call('TTL', executions_key(worker)) < longest_ttl + 60 then
    redis.call('EXPIRE', executions_key(worker), longest_ttl + 60)
  end
end
local left, own = 0, 0
for _, queue in ipairs(QUEUES) do
  left = left + redis.call('LLEN', queue_key(queue))
  if HAS_ASIDE then own = own + redis.call('ZCARD', fair_key(own_name(queue))) end
end
-- What is left is another idle worker's to take; what is not, nobody's to wake for. One that has
-- more to set aside comes again at once.
if left == 0 then
  redis.call('DEL', DOORBELL)
elseif #claimed > 0 or moved >= MOST_MOVED then
  ring()
end
if HAS_ASIDE and own == 0 then
  redis.call('DEL', bell_key(CARD))
elseif own > 0 and #claimed > 0 then
  ring_for(CARD)
end
for card in pairs(woken) do ring_for(card) end
left = left + own
-- A fleet is full from the claim that ran out of room until one leaves nothing; then its pace counts.
if left == 0 then
  redis.pcall('HDEL', PACE, 'full_since')
elseif ran_out or #claimed >= FREE_SLOTS then
  redis.pcall('HSETNX', PACE, 'full_since', NOW)
end
return {claimed, expired, odd, 0, aside}
