-- submit: accepts all jobs of a list, or none of them.
-- KEYS: 1 RQ's set of queues, 2 the caller's idempotency key or '', 3 where it is counted what the
--       caller's API key submits or ''
-- ARGV: 1 most waiting jobs, 2 most waiting tokens, 3 longest wait in s, 4 s to remember KEYS[2] for,
--       5 fingerprint of what the caller sent, 6 most jobs that the tenant may have unfinished,
--       7 and 8 most jobs and tokens that are its part of the queue, 9 and 10 most jobs and tokens
--       that the API key may submit a minute ('' each: no limit), 11 tokens a second at which
--       refused work is called back or '', 12 longest time in s until then,
--       13 hash of the model card of all these jobs, then for each job 7 values and its fields:
--       id, queue, tenant, cost in tokens, deadline in s after acceptance or '',
--       most tokens that a full fleet may have before it or '', number of RQ's fields, the fields …
-- Returns {verdict, for each job {id, Redis TIME of acceptance, jobs and tokens that go before it},
--          waiting jobs, waiting tokens, running jobs, 1 where the fleet is full,
--          s that it takes to call back what a full queue refused before,
--          what the API key submitted, refusals aside: {jobs of the last minute, of this one,
--          tokens of the last minute, of this one, seconds for which the last one still counts}}
--   verdict: accepted; already (these ids, or this idempotency key with the same fingerprint: the
--   ids are those of the jobs accepted then); conflict (that key with another fingerprint); full;
--   running_jobs or queue_share (the limit that the tenant is at);
--   requests_per_minute or tokens_per_minute (the limit that the API key is at);
--   late (a deadline that the backlog cannot meet: the one job is the first that is too late)
-- Atomic, so that the bounds hold, a key names one list, and no job exists without standing in a
-- queue. A job id that exists was accepted by an earlier try whose answer got lost.

local jobs = {}
do
  local at = 14
  while at <= #ARGV do
    jobs[#jobs + 1] = {
      id = ARGV[at], queue = ARGV[at + 1], tenant = ARGV[at + 2], cost = tonumber(ARGV[at + 3]),
      deadline = tonumber(ARGV[at + 4]), most_before = tonumber(ARGV[at + 5]),
      first = at + 7, last = at + 6 + 2 * tonumber(ARGV[at + 6]),
    }
    at = jobs[#jobs].last + 1
  end
end

-- What the API key submitted: in this minute, and in the one before, which fades meanwhile.
local MINUTE = 60
local window = {since = now, jobs = 0, tokens = 0, jobs_before = 0, tokens_before = 0}
if KEYS[3] ~= '' then
  local known = redis.call('HMGET', KEYS[3], 'since', 'jobs', 'tokens', 'jobs_before',
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

local function is_over(kind, new, most)
  local before = math.floor(window[kind .. '_before'] * window.left / MINUTE)
  return most and before + window[kind] + new > most
end

local function usage()
  return {window.jobs_before, window.jobs, window.tokens_before, window.tokens, stamp(window.left)}
end

local function earlier(verdict, ids)
  local found = {}
  for i, id in ipairs(ids) do
    found[i] = {id, redis.call('HGET', job_key(id), 'hr_accepted') or '0', 0, 0}
  end
  return {verdict, found, 0, 0, 0, 0, '0', usage()}
end

-- A key is worth as much as its jobs: it is forgotten with the first of them.
local function of_this_key()
  local known = redis.call('HMGET', KEYS[2], 'ids', 'fingerprint')
  if not known[1] then return nil end
  local ids = {}
  for id in string.gmatch(known[1], '%S+') do
    if redis.call('EXISTS', job_key(id)) == 0 then return nil end
    ids[#ids + 1] = id
  end
  return earlier(known[2] == ARGV[5] and 'already' or 'conflict', ids)
end

local known = KEYS[2] ~= '' and of_this_key()
if known then return known end
if redis.call('HEXISTS', job_key(jobs[1].id), 'hr_accepted') == 1 then
  local ids = {}
  for i, job in ipairs(jobs) do ids[i] = job.id end
  return earlier('already', ids)
end

local waiting, tokens, before = 0, 0, {}
local function waiting_under(name, length)
  local share = redis.call('HMGET', share_key(name), 'tokens', 'now')
  return {name = name, length = length, waits = tonumber(share[1] or nil) or 0,
    virtual = tonumber(share[2] or nil) or 0}
end

local function waiting_aside(queue, card)
  local name = aside_name(queue, card)
  return waiting_under(name, redis.call('ZCARD', fair_key(name)))
end

-- Before a job stands what waits in the queues, and what was set aside for its card.
local cards = redis.call('HKEYS', ASIDE)
for _, queue in ipairs(QUEUES) do
  local orders = {waiting_under(queue, redis.call('LLEN', queue_key(queue)))}
  for _, card in ipairs(cards) do
    if card == ARGV[13] then orders[2] = waiting_aside(queue, card) end
  end
  before[queue] = {jobs = waiting, tokens = tokens, orders = orders}
  for _, order in ipairs(orders) do
    waiting, tokens = waiting + order.length, tokens + order.waits
  end
end
-- What was set aside for others waits as well, but before nobody here.
for _, card in ipairs(cards) do
  for _, queue in ipairs(card ~= ARGV[13] and QUEUES or {}) do
    local order = waiting_aside(queue, card)
    waiting, tokens = waiting + order.length, tokens + order.waits
  end
end
local running = redis.call('ZCARD', LEASES)
local is_full = redis.call('HEXISTS', PACE, 'full_since')

local function answer(verdict, places, owed)
  return {verdict, places, waiting, tokens, running, is_full, owed or '0', usage()}
end

-- Those who are refused get times one after the other, or they would all come back at once.
local function call_back(cost)
  local rate, longest = tonumber(ARGV[11]), tonumber(ARGV[12])
  if not rate then return '0' end
  local owed = math.max(now, tonumber(redis.call('HGET', PACE, 'owed_until') or nil) or 0)
  redis.call('HSET', PACE, 'owed_until', stamp(math.min(owed + cost / rate, now + longest)))
  return stamp(owed - now)
end

-- What will stand before a job that comes now, as order() will place it.
local function place(job, sooner)
  local queue = before[job.queue]
  local jobs_ahead, tokens_ahead = queue.jobs + sooner.jobs, queue.tokens + sooner.tokens
  for _, order in ipairs(queue.orders) do
    if order.length > 0 then
      local turn = tonumber(redis.call('ZSCORE', tenants_key(order.name), job.tenant) or nil) or 0
      local ahead = redis.call('ZCOUNT', fair_key(order.name), '-inf',
        '(' .. stamp(math.max(order.virtual, turn) + 1))
      jobs_ahead = jobs_ahead + ahead
      tokens_ahead = tokens_ahead + order.waits * ahead / order.length
    end
  end
  return {job.id, NOW, jobs_ahead, math.floor(tokens_ahead)}
end

local places, sooner = {}, {jobs = 0, tokens = 0}
for i, job in ipairs(jobs) do
  places[i] = place(job, sooner)
  sooner.jobs, sooner.tokens = sooner.jobs + 1, sooner.tokens + job.cost
end

if is_over('jobs', #jobs, tonumber(ARGV[9])) then return answer('requests_per_minute', {}) end
if is_over('tokens', sooner.tokens, tonumber(ARGV[10])) then
  return answer('tokens_per_minute', {})
end
if waiting + #jobs > tonumber(ARGV[1])
  or (tokens > 0 and tokens + sooner.tokens > tonumber(ARGV[2])) then
  return answer('full', {}, call_back(sooner.tokens))
end
local broken = broken_quota(jobs[1].tenant, #jobs, tonumber(ARGV[6]), tonumber(ARGV[7]),
  tonumber(ARGV[8]))
if broken then return answer(broken, {}) end
for i, job in ipairs(jobs) do
  if is_full == 1 and job.most_before and places[i][3] > 0 and places[i][4] > job.most_before then
    return answer('late', {places[i]})
  end
end

local ids = {}
for i, job in ipairs(jobs) do
  local expires = now + tonumber(ARGV[3])
  redis.call('HSET', job_key(job.id), 'hr_accepted', NOW, unpack(ARGV, job.first, job.last))
  if job.deadline then
    redis.call('HSET', job_key(job.id), 'hr_deadline', stamp(now + job.deadline))
    expires = math.min(expires, now + job.deadline)
  end
  if KEYS[2] ~= '' then redis.call('HSET', job_key(job.id), 'hr_idempotency', KEYS[2]) end
  redis.call('SADD', KEYS[1], queue_key(job.queue))
  enqueue(job.queue, job.id, false)
  expire_at(job.id, expires)
  ids[i] = job.id
end
if KEYS[2] ~= '' then
  redis.call('HSET', KEYS[2], 'ids', table.concat(ids, ' '), 'fingerprint', ARGV[5])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
if KEYS[3] ~= '' then
  window.jobs, window.tokens = window.jobs + #jobs, window.tokens + sooner.tokens
  redis.call('HSET', KEYS[3], 'since', stamp(window.since), 'jobs', window.jobs,
    'tokens', window.tokens, 'jobs_before', window.jobs_before,
    'tokens_before', window.tokens_before)
  redis.call('EXPIRE', KEYS[3], 2 * MINUTE)
end
ring()
if jobs[1].tenant ~= CANARY then
  count('accepted', #jobs)
  count('tokens:accepted', sooner.tokens)
end
close()
return answer('accepted', places)
