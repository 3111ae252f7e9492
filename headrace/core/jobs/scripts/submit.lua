-- submit: accepts submissions, each with all of its jobs or with none of them.
-- KEYS: 1 RQ's set of queues, then for each submission the caller's idempotency key, and where
--       it is counted what the caller's API key submits; NOTHING where there is none: Redis refuses an
--       empty name to a user who may use our names alone
-- ARGV: 1 most waiting jobs, 2 most waiting tokens, 3 longest wait in s, 4 longest time in s until
--       refused work is called back, 5 share of the slots that each lower priority is guaranteed,
--       6 number of the fields that all jobs share, doubled; the fields;
--       then for each submission 11 values and its jobs:
--       tenant, hash of the model card, s to remember its idempotency key for, fingerprint of what the
--       caller sent, most jobs that the tenant may have unfinished, most jobs and tokens that are its
--       part of the queue, most jobs and tokens that the API key may submit a minute ('' each: no
--       limit), tokens a second at which refused work is called back or '', number of jobs;
--       each job has 7 values and its fields: id, queue, cost in tokens, deadline in s after
--       acceptance or '', most tokens that a full fleet may have before it or '', how many workers
--       died of the dead letter that it replays, number of its own fields, doubled; the fields
-- Returns for each submission {verdict, for each job {id, Redis TIME of acceptance, jobs and tokens
--          that go before it}, waiting jobs, waiting tokens, running jobs, 1 where the fleet is full,
--          s that it takes to call back what a full queue refused before,
--          what the API key submitted, refusals aside: {jobs of the last minute, of this one,
--          tokens of the last minute, of this one, seconds for which the last one still counts}}
--   verdict: accepted; already (these ids, or this idempotency key with the same fingerprint: the
--   ids are those of the jobs accepted then); conflict (that key with another fingerprint); full;
--   running_jobs or queue_share (the limit that the tenant is at);
--   requests_per_minute or tokens_per_minute (the limit that the API key is at);
--   late (a deadline that the backlog cannot meet: the one job is the first that is too late);
--   failed (the second value is then what Redis complains of)
-- Atomic, so that the bounds hold, a key names one list, and no job exists without standing in a
-- queue. A job id that exists was accepted by an earlier try whose answer got lost. A submission
-- that fails leaves the others as they are.

local MAX_JOBS, MAX_TOKENS, WAIT_S = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local LONGEST_RETRY_S, SHARE, SHARED = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local MINUTE = 60
local NOTHING = 'headrace:nothing'

local at = 7 + SHARED
local function next_values(number)
  at = at + number
  return unpack(ARGV, at - number, at - 1)
end

local function read_job()
  local id, queue, cost, deadline, most_before, deaths, fields = next_values(7)
  at = at + tonumber(fields)
  return {id = id, queue = queue, cost = tonumber(cost), deadline = tonumber(deadline),
    most_before = tonumber(most_before), deaths = deaths, first = at - fields, last = at - 1}
end

local function named(key)
  return key == NOTHING and '' or key
end

local function read_submission(number)
  local tenant, card, kept_s, fingerprint, most_jobs, share_jobs, share_tokens, requests, tokens,
    retry_rate, count = next_values(11)
  local submission = {
    idempotency = named(KEYS[2 * number]), rates = named(KEYS[2 * number + 1]),
    tenant = tenant, card = card,
    kept_s = kept_s, fingerprint = fingerprint, most_jobs = tonumber(most_jobs),
    share_jobs = tonumber(share_jobs), share_tokens = tonumber(share_tokens),
    requests = tonumber(requests), tokens = tonumber(tokens), retry_rate = tonumber(retry_rate),
    cost = 0, jobs = {},
  }
  for i = 1, tonumber(count) do
    submission.jobs[i] = read_job()
    submission.cost = submission.cost + submission.jobs[i].cost
  end
  return submission
end

-- == What API keys submitted =====================================================================
-- In this minute, and in the one before, which fades meanwhile. Read once a script.

local windows, changed = {}, {}

local function read_window(key)
  local window = {since = now, jobs = 0, tokens = 0, jobs_before = 0, tokens_before = 0}
  if key ~= '' then
    local known = redis.call('HMGET', key, 'since', 'jobs', 'tokens', 'jobs_before',
      'tokens_before')
    for i, value in ipairs(known) do known[i] = tonumber(value or nil) or 0 end
    local age = now - known[1]
    if age < MINUTE then
      window = {since = known[1], jobs = known[2], tokens = known[3], jobs_before = known[4],
        tokens_before = known[5]}
    elseif age < 2 * MINUTE then
      window = {since = known[1] + MINUTE, jobs = 0, tokens = 0, jobs_before = known[2],
        tokens_before = known[3]}
    end
  end
  window.left = window.since + MINUTE - now
  return window
end

local function window_of(key)
  windows[key] = windows[key] or read_window(key)
  return windows[key]
end

local function is_over(window, kind, new, most)
  local before = math.floor(window[kind .. '_before'] * window.left / MINUTE)
  return most and before + window[kind] + new > most
end

local function usage(window)
  return {window.jobs_before, window.jobs, window.tokens_before, window.tokens, stamp(window.left)}
end

local function count_submitted(key, jobs, tokens)
  if key == '' then return end
  local window = windows[key]
  window.jobs, window.tokens = window.jobs + jobs, window.tokens + tokens
  changed[key] = window
end

local function write_windows()
  for key, window in pairs(changed) do
    redis.call('HSET', key, 'since', stamp(window.since), 'jobs', window.jobs,
      'tokens', window.tokens, 'jobs_before', window.jobs_before,
      'tokens_before', window.tokens_before)
    redis.call('EXPIRE', key, 2 * MINUTE)
  end
end

-- == What was accepted before ====================================================================

local function earlier(verdict, ids, window)
  local found = {}
  for i, id in ipairs(ids) do
    found[i] = {id, redis.call('HGET', job_key(id), 'hr_accepted') or '0', 0, 0}
  end
  return {verdict, found, 0, 0, 0, 0, '0', usage(window)}
end

-- A key is worth as much as its jobs: it is forgotten with the first of them.
local function of_this_key(submission, window)
  local known = redis.call('HMGET', submission.idempotency, 'ids', 'fingerprint')
  if not known[1] then return nil end
  local ids = {}
  for id in string.gmatch(known[1], '%S+') do
    if redis.call('EXISTS', job_key(id)) == 0 then return nil end
    ids[#ids + 1] = id
  end
  local verdict = known[2] == submission.fingerprint and 'already' or 'conflict'
  return earlier(verdict, ids, window)
end

local function known_answer(submission, window)
  local known = submission.idempotency ~= '' and of_this_key(submission, window)
  if known then return known end
  if redis.call('HEXISTS', job_key(submission.jobs[1].id), 'hr_accepted') == 0 then return nil end
  local ids = {}
  for i, job in ipairs(submission.jobs) do ids[i] = job.id end
  return earlier('already', ids, window)
end

-- == What waits ==================================================================================
-- Read once a script, and counted on with what it accepts: new jobs join their queue in line_up().

local orders = {}
local cards = redis.call('HKEYS', ASIDE)
local running = redis.call('ZCARD', LEASES)
local is_full = redis.call('HEXISTS', PACE, 'full_since')

local function waiting_under(name, count_command, key)
  if not orders[name] then
    local share = redis.call('HMGET', share_key(name), 'tokens', 'now', 'last')
    orders[name] = {name = name, length = redis.call(count_command, key),
      waits = tonumber(share[1] or nil) or 0, virtual = tonumber(share[2] or nil) or 0,
      last = tonumber(share[3] or nil) or 0, turns = {}, moved = {}, new = 0, new_tokens = 0, new_tags = {}}
  end
  return orders[name]
end

local function turn_of(order, tenant)
  order.turns[tenant] = order.turns[tenant]
    or tonumber(redis.call('ZSCORE', tenants_key(order.name), tenant) or nil) or 0
  return order.turns[tenant]
end

local function waiting_aside(queue, card)
  local name = aside_name(queue, card)
  return waiting_under(name, 'ZCARD', fair_key(name))
end

-- Before a job stands what waits in the queues, and what was set aside for its card.
local function backlog_of(card)
  local backlog = {jobs = 0, tokens = 0, before = {}}
  local function add(order)
    backlog.jobs, backlog.tokens = backlog.jobs + order.length, backlog.tokens + order.waits
  end
  local is_aside = false
  for _, name in ipairs(cards) do is_aside = is_aside or name == card end
  for _, queue in ipairs(QUEUES) do
    local same = {waiting_under(queue, 'LLEN', queue_key(queue))}
    if is_aside then same[2] = waiting_aside(queue, card) end
    backlog.before[queue] = {jobs = backlog.jobs, tokens = backlog.tokens, orders = same}
    for _, order in ipairs(same) do add(order) end
  end
  -- What was set aside for others waits as well, but before nobody here.
  for _, other in ipairs(cards) do
    for _, queue in ipairs(other ~= card and QUEUES or {}) do add(waiting_aside(queue, other)) end
  end
  return backlog
end

-- The jobs of an order whose turn comes before one that begins at `start`.
local function ahead_of(order, start)
  local ahead = 0
  if order.length > order.new then
    ahead = redis.call('ZCOUNT', fair_key(order.name), '-inf', '(' .. stamp(start + 1))
  end
  for _, tag in ipairs(order.new_tags) do
    if tag < start + 1 then ahead = ahead + 1 end
  end
  return ahead
end

-- What will stand before a job that comes now. The share that its priority is guaranteed bounds it, as
-- in pace.py: Place.of.
local function place(tenant, job, queue, jobs_ahead, tokens_ahead)
  for _, order in ipairs(queue.orders) do
    if order.length > 0 then
      local ahead = ahead_of(order, math.max(order.virtual, turn_of(order, tenant)))
      jobs_ahead = jobs_ahead + ahead
      tokens_ahead = tokens_ahead + order.waits * ahead / order.length
    end
  end
  local most_jobs, most_tokens = math.huge, math.huge
  if queue.jobs > 0 and SHARE > 0 then
    most_jobs = math.ceil((jobs_ahead + 1) / SHARE) - 1
    most_tokens = (tokens_ahead + job.cost) / SHARE
  end
  return {job.id, NOW, math.min(queue.jobs + jobs_ahead, most_jobs),
    math.floor(math.min(queue.tokens + tokens_ahead, most_tokens))}
end

local function places_of(submission, backlog)
  local places, tokens = {}, 0
  for i, job in ipairs(submission.jobs) do
    places[i] = place(submission.tenant, job, backlog.before[job.queue], i - 1, tokens)
    tokens = tokens + job.cost
  end
  return places
end

-- == Verdicts ====================================================================================

-- Those who are refused get times one after the other, or they would all come back at once.
local function call_back(rate, cost)
  if not rate then return '0' end
  local owed = math.max(now, tonumber(redis.call('HGET', PACE, 'owed_until') or nil) or 0)
  redis.call('HSET', PACE, 'owed_until', stamp(math.min(owed + cost / rate, now + LONGEST_RETRY_S)))
  return stamp(owed - now)
end

-- Why a submission is refused, nil where it is not; and the place of the job that is too late.
local function refusal(submission, window, backlog, places)
  local jobs, cost = #submission.jobs, submission.cost
  if is_over(window, 'jobs', jobs, submission.requests) then return 'requests_per_minute' end
  if is_over(window, 'tokens', cost, submission.tokens) then return 'tokens_per_minute' end
  if backlog.jobs + jobs > MAX_JOBS
    or (backlog.tokens > 0 and backlog.tokens + cost > MAX_TOKENS) then return 'full' end
  local broken = broken_quota(submission.tenant, jobs, submission.most_jobs, submission.share_jobs,
    submission.share_tokens)
  if broken then return broken end
  for i, job in ipairs(submission.jobs) do
    if is_full == 1 and job.most_before and places[i][3] > 0 and places[i][4] > job.most_before then
      return 'late', places[i]
    end
  end
end

local queues = {}
local create = {'HSET', '', unpack(ARGV, 7, 6 + SHARED)}
local FIRST_OWN = #create + 1

-- What is gathered for the new jobs of an order.
local function new_entries(name)
  return {queue = gathered('RPUSH', queue_key(name)), fair = gathered('ZADD', fair_key(name)),
    line = gathered('ZADD', line_key(name)), costs = gathered('HSET', costs_key(name))}
end

local function append_pair(call, first, second)
  local length = #call
  call[length + 1], call[length + 2] = first, second
end

-- Puts a new job into its queue, as enqueue() would: what all of them have to write is gathered.
local function line_up(job, tenant)
  local order = orders[job.queue]
  order.entries = order.entries or new_entries(job.queue)
  order.last = order.last + 1
  local start, tag = start_and_tag(order.virtual, turn_of(order, tenant), order.last)
  if tonumber(job.deaths) >= SUSPECT_DEATHS then
    tag = '+inf'
  else
    order.turns[tenant] = start + job.cost
    order.new_tags[#order.new_tags + 1] = tonumber(tag)
    order.moved[tenant] = true
  end
  order.length, order.waits = order.length + 1, order.waits + job.cost
  order.new, order.new_tokens = order.new + 1, order.new_tokens + job.cost
  local entries = order.entries
  entries.queue[#entries.queue + 1] = job.id
  append_pair(entries.fair, tag, job.id)
  append_pair(entries.line, order.last, job.id)
  append_pair(entries.costs, job.id, job.cost)
  if tenant ~= CANARY then gather_scored(JOBS, NOW, job.id) end
  take_in_hand(tenant, job.id, job.cost)
end

local function write_orders()
  for name, order in pairs(orders) do
    if order.new > 0 then
      redis.call('HINCRBY', share_key(name), 'last', order.new)
      redis.call('HINCRBY', share_key(name), 'tokens', order.new_tokens)
      for tenant in pairs(order.moved) do
        gather_scored(tenants_key(name), stamp(order.turns[tenant]), tenant)
      end
    end
  end
end

-- Makes a job and puts it into its queue.
local function accept(job, submission)
  local expires = now + math.min(WAIT_S, job.deadline or WAIT_S)
  local last = FIRST_OWN - 1
  local function add(name, value)
    create[last + 1], create[last + 2] = name, value
    last = last + 2
  end
  create[2] = job_key(job.id)
  add('origin', job.queue)
  add('hr_tenant', submission.tenant)
  add('hr_tokens', job.cost)
  add('hr_card', submission.card)
  add('hr_accepted', NOW)
  add('hr_expires', stamp(expires))
  if job.deadline then add('hr_deadline', stamp(now + job.deadline)) end
  if job.deaths ~= '0' then add('hr_deaths', job.deaths) end
  if submission.idempotency ~= '' then add('hr_idempotency', submission.idempotency) end
  for i = job.first, job.last do
    last = last + 1
    create[last] = ARGV[i]
  end
  redis.call(unpack(create, 1, last))
  line_up(job, submission.tenant)
  gather_scored(EXPIRIES, stamp(expires), job.id)
  queues[job.queue] = true
end

local function accept_all(submission)
  local ids = {}
  for i, job in ipairs(submission.jobs) do
    accept(job, submission)
    ids[i] = job.id
  end
  if submission.idempotency ~= '' then
    redis.call('HSET', submission.idempotency, 'ids', table.concat(ids, ' '),
      'fingerprint', submission.fingerprint)
    redis.call('EXPIRE', submission.idempotency, submission.kept_s)
  end
  count_submitted(submission.rates, #ids, submission.cost)
  if submission.tenant ~= CANARY then
    count('accepted', #ids)
    count('tokens:accepted', submission.cost)
  end
end

local function answer_to(submission)
  local window = window_of(submission.rates)
  local known = known_answer(submission, window)
  if known then return known end
  local backlog = backlog_of(submission.card)
  local places, owed = places_of(submission, backlog), '0'
  local refused, late = refusal(submission, window, backlog, places)
  if refused then
    places = {late}
    if refused == 'full' then owed = call_back(submission.retry_rate, submission.cost) end
  else
    accept_all(submission)
  end
  return {refused or 'accepted', places, backlog.jobs, backlog.tokens, running, is_full, owed,
    usage(window)}
end

local answers = {}
run_and_close(function() -- a server out of memory refuses it
  for number = 1, (#KEYS - 1) / 2 do
    local submission = read_submission(number)
    local is_answered, answer = pcall(answer_to, submission)
    if not is_answered then
      -- A key of another type is this submission's own trouble; that of the server would meet them all.
      local problem = type(answer) == 'table' and answer.err or tostring(answer)
      if not string.find(problem, 'WRONGTYPE', 1, true) then error(answer, 0) end
      answer = {'failed', problem}
    end
    answers[number] = answer
  end
  write_windows()
  write_orders()
  for queue in pairs(queues) do redis.call('SADD', KEYS[1], queue_key(queue)) end
  if next(queues) then ring() end
end)
return answers
