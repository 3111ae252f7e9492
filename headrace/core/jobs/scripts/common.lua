-- Shared by all scripts: put in front of each when it is loaded.
-- Names and settings in braces are filled in by rq_adapter.py. Keys of jobs and queues are built
-- here from their ids and names, so Headrace does not run on Redis Cluster.

local RQ = '{rq}'
local QUEUES = {queues}
local LEASES = '{leases}'
local EXPIRIES = '{expiries}'
local DOORBELL = '{doorbell}'
local ASIDE = '{aside}'
local DRAINING = '{draining}'
local ISOLATOR = '{isolator}'
local SUSPENDED = RQ .. ':suspended'
local PARENTS = '{parents}'
local COMPLETIONS = '{completions}'
local ENDED_CHANNEL = '{ended_channel}'
local TOKENS_CHANNEL = '{tokens_channel}'
local DEAD = '{dead}'
local JOBS = '{jobs}'
local COUNTS = '{counts}'
local PACE = '{pace}'
local CANARY = '{canary}' -- tenant of the monitor's own jobs: not counted, listed or noted
local COUNTING = {counting}
local LATENCY_S, LATENCY_LABELS = {latency_s}, {latency_labels}
local TOKEN_LATENCY_S, TOKEN_LATENCY_LABELS = {token_latency_s}, {token_latency_labels}
local SLO_LATENCY_S, SLO_TPOT_S = {slo_latency_s}, {slo_tpot_s}
local LEASE_S = {lease_s}
local RESULT_TTL_S = {result_ttl_s}
local QUEUE_TTL_S = {queue_ttl_s}
local COMPLETION_LOG_MAX = {completion_log_max}
local NEAR = 256 -- ids in which a search costs nothing
local front_ids = 1 -- that one look at the front of RQ's list takes in; a claim sets its room
local HOLE = 'headrace:hole'
local AT_ONCE = 1000 -- members of one call, and ids looked at in one go
local MOST_TOLD = 16384 -- bytes of an entry that a message tells; a longer one is read
local LONGEST_S = 315360000 -- ten years: what others write as a time may be beyond any
local SUSPECT_DEATHS = {suspect_deaths} -- from so many worker deaths a job runs alone
-- How far back drain rate and service times reach: what is so old counts for a third.
local RATE_S, SERVICE_S = 30, 10
local MOST_NOTED = 4096 -- bytes of a job's timeline
local FORGET_S = 60 -- what readers and late workers may still ask of a job that keeps no result
local FAILURE_TTL_S = 31536000 -- RQ's, for jobs that name none

-- Time stands still while a script runs.
local TIME = redis.call('TIME')
local now = tonumber(TIME[1]) + tonumber(TIME[2]) / 1000000
local NOW = string.format('%s.%06d', TIME[1], TIME[2])

-- Lua prints 14 digits of a number; a timestamp needs 16.
local function stamp(seconds)
  return string.format('%.6f', seconds)
end

-- The stamp of a time from now, which many jobs of a script share.
local stamps_after = {}
local function stamp_after(seconds)
  local after = stamps_after[seconds]
  if not after then
    after = stamp(now + seconds)
    stamps_after[seconds] = after
  end
  return after
end

local function job_key(id) return RQ .. ':job:' .. id end
local function queue_key(name) return RQ .. ':queue:' .. name end
local function executions_key(worker) return RQ .. ':worker:' .. worker .. ':executions' end
local function scheduled_key(queue) return RQ .. ':scheduled:' .. queue end
local function stream_key(id) return 'headrace:stream:' .. id end
local function fair_key(queue) return 'headrace:fair:' .. queue end
local function tenants_key(queue) return 'headrace:tenants:' .. queue end
local function share_key(queue) return 'headrace:share:' .. queue end
local function line_key(queue) return 'headrace:line:' .. queue end
local function costs_key(queue) return 'headrace:costs:' .. queue end
local function unfinished_key(tenant) return 'headrace:unfinished:' .. tenant end
local function ended_key(eid) return 'headrace:ended:' .. eid end
-- The name under which jobs of a queue wait that are set aside for a card, in keys like the queue's.
local function aside_name(queue, card) return queue .. '@' .. card end
local function dependencies_key(id) return RQ .. ':job::' .. id .. ':dependencies' end

local function is_ours(queue)
  for _, name in ipairs(QUEUES) do
    if name == queue then return true end
  end
  return false
end

local function ring()
  redis.call('LPUSH', DOORBELL, '1')
  redis.call('LTRIM', DOORBELL, 0, 63)
end

-- The workers of one card have a bell of their own: the other one may wake a worker of another card.
-- It is forgotten where none lives.
local function bell_key(card) return DOORBELL .. ':' .. card end
local function ring_for(card)
  redis.call('LPUSH', bell_key(card), '1')
  redis.call('LTRIM', bell_key(card), 0, 63)
  redis.call('EXPIRE', bell_key(card), FORGET_S)
end

-- ttl as RQ means it: negative keeps a key for ever.
local function keep_for(key, ttl)
  ttl = math.floor(math.min(ttl, LONGEST_S))
  if ttl > 0 then redis.call('EXPIRE', key, ttl) else redis.call('PERSIST', key) end
end

-- An entry of a timeline, which jobs that move together share.
local function note_of(entry)
  entry.at = NOW
  return cjson.encode(entry)
end

-- A job's timeline with one more line. A job that moves very often keeps its newest ones.
local function with_note(timeline, line)
  if not timeline then return line end
  if #timeline > MOST_NOTED then
    timeline = string.sub(timeline, (string.find(timeline, '\n', 1, true) or 0) + 1)
  end
  return timeline .. '\n' .. line
end

local function noted(timeline, entry)
  return with_note(timeline, note_of(entry))
end

-- What one call can do for all jobs of a script is gathered here, and done by close() as its last
-- act: every script that moves or ends jobs comes to it, by itself or through complete().
local calls, lengths, holes, freed_tokens, tally, histograms = {}, {}, {}, {}, {}, {}
local fronts, let_go_of, doomed, parents = {}, {}, {}, {}
local ends = {ids = {}, lines = {}}

local function gathered(command, key)
  local of_command = calls[command]
  if not of_command then
    of_command = {}
    calls[command] = of_command
  end
  local members = of_command[key]
  if not members then
    members = {}
    of_command[key] = members
  end
  return members
end

-- A member to be added to or removed from a set.
local function gather(command, key, member)
  local members = gathered(command, key)
  members[#members + 1] = member
end

local function gather_scored(key, score, member)
  local members = gathered('ZADD', key)
  local count = #members
  members[count + 1], members[count + 2] = score, member
end

-- Calls a command with all members of a key, AT_ONCE a call; returns the sum of its answers.
local function call_with(command, key, members)
  local sum = 0
  for first = 1, #members, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #members)
    sum = sum + redis.call(command, key, unpack(members, first, last))
  end
  return sum
end

-- The same for a command that takes keys alone.
local function call_for(command, names)
  local sum = 0
  for first = 1, #names, AT_ONCE do
    sum = sum + redis.call(command, unpack(names, first, math.min(first + AT_ONCE - 1, #names)))
  end
  return sum
end

-- == What a tenant has in hand ===================================================================
-- Of each tenant a hash: unfinished job -> its cost in tokens, and under SUM what they cost together.
-- A job is in hand from its acceptance to its end, however often it waits and runs in between.

local SUM = ':tokens'
local ENDED = {finished = true, failed = true, canceled = true, stopped = true}

local function take_in_hand(tenant, id, cost)
  if redis.call('HSETNX', unfinished_key(tenant), id, cost) == 1 then
    redis.call('HINCRBY', unfinished_key(tenant), SUM, cost)
  end
end

local function let_go(tenant, ids)
  local key, cost = unfinished_key(tenant), 0
  for first = 1, #ids, AT_ONCE do
    local last = math.min(first + AT_ONCE - 1, #ids)
    for _, each in ipairs(redis.call('HMGET', key, unpack(ids, first, last))) do
      cost = cost + (tonumber(each or nil) or 0)
    end
  end
  if call_with('HDEL', key, ids) == 0 then return end
  if redis.call('HLEN', key) == 1 then
    redis.call('DEL', key)
  else
    redis.call('HINCRBY', key, SUM, -cost)
  end
end

-- Stock RQ ends and deletes jobs without a word: some of those still in hand are looked at.
local function let_go_of_ended(tenant)
  local ended = {}
  for _, id in ipairs(redis.call('HRANDFIELD', unfinished_key(tenant), 20)) do
    local status = redis.call('HGET', job_key(id), 'status')
    if id ~= SUM and (not status or ENDED[status]) then ended[#ended + 1] = id end
  end
  if #ended > 0 then let_go(tenant, ended) end
end

-- Which bound so many new jobs of a tenant would break: 'running_jobs' (most jobs in hand),
-- 'queue_share' (most jobs and tokens that may be its part of the queue); nil for none.
local function broken_quota(tenant, new, most_jobs, share_jobs, share_tokens)
  if not most_jobs and not share_jobs then return nil end
  local key = unfinished_key(tenant)
  local function broken()
    local jobs = math.max(redis.call('HLEN', key) - 1, 0)
    local tokens = tonumber(redis.call('HGET', key, SUM)) or 0
    if most_jobs and jobs + new > most_jobs then return 'running_jobs' end
    if share_jobs and (jobs + new > share_jobs or tokens >= share_tokens) then
      return 'queue_share'
    end
  end
  if not broken() then return nil end
  let_go_of_ended(tenant)
  return broken()
end

-- == Waiting jobs ================================================================================
-- RQ's list says which jobs wait, a sorted set beside it in which order they go (start-time fair
-- queueing, Goyal et al. 1996): a job's tag is the virtual time at which its tenant's turn comes,
-- and each job moves its tenant's next turn on by its cost in tokens. Virtual time is the tag of the
-- job taken last, so that a tenant who was away gains nothing. Where nobody waits all is forgotten.

-- A job that waits ends when its time is over, though no worker lives.
local function expire_at(id, seconds)
  redis.call('HSET', job_key(id), 'hr_expires', stamp(seconds))
  redis.call('ZADD', EXPIRIES, stamp(seconds), id)
end

-- A job that `rq requeue` brought back starts a new life.
local function forget_last_life(id)
  redis.call('ZREM', DEAD, id)
  redis.call('DEL', stream_key(id))
  redis.call('HDEL', job_key(id), 'hr_committed', 'hr_claimed', 'hr_first_token', 'hr_last_token',
    'hr_reason', 'hr_report', 'hr_ended_by', 'hr_attempt', 'hr_deaths', 'hr_died', 'hr_deadline',
    'hr_expires', 'hr_replayed_as', 'hr_alone', 'hr_preempted', 'hr_timeline')
  redis.call('HSET', job_key(id), 'hr_accepted', NOW)
  redis.call('PERSIST', job_key(id))
  expire_at(id, now + QUEUE_TTL_S)
end

-- The time at which a tenant's turn comes, and the tag of its job at this place in the line.
local function start_and_tag(virtual, turn, place)
  local start = math.max(virtual, turn)
  -- Of two tenants whose turn has come the one who came first goes first.
  return start, stamp(start + (place % 1000000) / 1000000)
end

-- Gives a job its tag in the fair order of a queue, or of those set aside. `job` is its tenant, cost
-- and deaths. Returns its place in the line.
local function give_tag(name, id, at_front, job)
  local tenant, cost = job[1] or 'default', tonumber(job[2] or nil) or 1
  local virtual = tonumber(redis.call('HGET', share_key(name), 'now')) or 0
  local end_of_line = at_front and 'first' or 'last'
  local place = redis.call('HINCRBY', share_key(name), end_of_line, at_front and -1 or 1)
  local tag
  if (tonumber(job[3] or nil) or 0) >= SUSPECT_DEATHS then
    tag = '+inf'
  elseif at_front then
    local first = redis.call('ZRANGEBYSCORE', fair_key(name), '-inf', '(+inf', 'WITHSCORES',
      'LIMIT', 0, 1)
    tag = stamp((tonumber(first[2]) or virtual) - 1)
  else
    local turn = tonumber(redis.call('ZSCORE', tenants_key(name), tenant)) or 0
    local start
    start, tag = start_and_tag(virtual, turn, place)
    redis.call('ZADD', tenants_key(name), stamp(start + cost), tenant)
  end
  redis.call('ZADD', fair_key(name), tag, id)
  redis.call('HSET', costs_key(name), id, cost)
  redis.call('HINCRBY', share_key(name), 'tokens', cost)
  return place
end

-- Gives a job its tag in the fair order of a queue, its place in the line as RQ's list has it, and
-- one in the list of all jobs. RQ would let one with a ttl vanish: it expires.
local function order(queue, id, at_front)
  if redis.call('HEXISTS', job_key(id), 'hr_committed') == 1 then forget_last_life(id) end
  local job = redis.call('HMGET', job_key(id), 'hr_tenant', 'hr_tokens', 'hr_deaths', 'ttl',
    'hr_accepted')
  local tenant = job[1] or 'default'
  redis.call('ZADD', line_key(queue), give_tag(queue, id, at_front, job), id)
  take_in_hand(tenant, id, tonumber(job[2] or nil) or 1)
  if tenant ~= CANARY then redis.call('ZADD', JOBS, job[5] or NOW, id) end
  if job[4] then
    redis.call('PERSIST', job_key(id))
    expire_at(id, now + math.min(tonumber(job[4]) or 0, LONGEST_S))
  end
end

-- Takes out of RQ's list what take_from_front() marked: in one go what stands in front of all others.
local function close_front(queue)
  local front = fronts[queue]
  if not front then return end
  fronts[queue] = nil
  local list, popped = queue_key(queue), 0
  while front.taken[popped] do popped = popped + 1 end
  for place in pairs(front.taken) do
    if place >= popped then
      redis.call('LSET', list, place, HOLE)
      holes[queue] = (holes[queue] or 0) + 1
    end
  end
  if popped > 0 then redis.call('LPOP', list, popped) end
end

-- Marks an id that stands near the front of RQ's list, where claims find most of their jobs; false
-- where it does not. Until close_front() nothing else may move the ids in the list.
local function take_from_front(queue, id)
  local front = fronts[queue] or {places = {}, seen = 0, left = 0, taken = {}}
  fronts[queue] = front
  if front.left == 0 then
    local ids = redis.call('LRANGE', queue_key(queue), front.seen, front.seen + front_ids - 1)
    for i, each in ipairs(ids) do front.places[each] = front.places[each] or front.seen + i - 1 end
    front.seen, front.left = front.seen + #ids, #ids
  end
  local place = front.places[id]
  if not place or front.taken[place] then return false end
  front.taken[place], front.left = true, front.left - 1
  return true
end

-- Puts a job into its queue.
local function enqueue(queue, id, at_front)
  if at_front then close_front(queue) end
  redis.call(at_front and 'LPUSH' or 'RPUSH', queue_key(queue), id)
  order(queue, id, at_front)
end

-- Takes an id out of RQ's list; false where it did not stand there. LREM searches a long list for up
-- to a millisecond: the line knows the place, and the holes of a whole script are closed in one go.
-- What the line does not know is searched for only if `must_find`.
local function unlist(queue, id, must_find)
  local list = queue_key(queue)
  lengths[queue] = lengths[queue] or redis.call('LLEN', list)
  if lengths[queue] >= NEAR then
    local place = redis.call('ZRANK', line_key(queue), id)
    if place and redis.call('LINDEX', list, place) == id then
      redis.call('LSET', list, place, HOLE)
      holes[queue] = (holes[queue] or 0) + 1
      return true
    end
    if not must_find then return false end -- else stock RQ may have moved the others
  end
  close_front(queue)
  return redis.call('LREM', list, 1, id) == 1
end

-- `name` is here the queue's, or aside_name(queue, card) of a job that is set aside.
local function forget_place(name, id)
  gather('ZREM', fair_key(name), id)
  gather('ZREM', line_key(name), id)
  gather('HDEL', costs_key(name), id)
end

-- Takes a job that stands in the fair order out of its queue; false where RQ's list has it no more.
local function dequeue(name, queue, id, cost)
  gather('ZREM', EXPIRIES, id)
  forget_place(name, id)
  freed_tokens[name] = (freed_tokens[name] or 0) + cost
  return name ~= queue or take_from_front(queue, id) or unlist(queue, id, true)
end

-- Takes a job out of the order in which it may stand or not: its tenant gets back what it was
-- charged there.
local function leave(name, queue, id, must_find)
  local cost = tonumber(redis.call('HGET', costs_key(name), id))
  if cost then
    local tenant = redis.call('HGET', job_key(id), 'hr_tenant') or 'default'
    local turn = tonumber(redis.call('ZSCORE', tenants_key(name), tenant))
    local virtual = tonumber(redis.call('HGET', share_key(name), 'now')) or 0
    if turn then
      redis.call('ZADD', tenants_key(name), stamp(math.max(virtual, turn - cost)), tenant)
    end
    freed_tokens[name] = (freed_tokens[name] or 0) + cost
  end
  forget_place(name, id)
  return name ~= queue or unlist(queue, id, must_find)
end

-- Where a waiting job stands: under its queue's name, or set aside for the card that is returned too.
local function standing(queue, id)
  local card = redis.call('HGET', job_key(id), 'hr_card')
  local aside = card and aside_name(queue, card)
  if aside and redis.call('HEXISTS', costs_key(aside), id) == 1 then return aside, card end
  return queue
end

-- Takes a job that nobody will run out of its queue, where it may stand or not.
local function withdraw(queue, id, must_find)
  gather('ZREM', EXPIRIES, id)
  return leave(standing(queue, id), queue, id, must_find)
end

-- == Jobs set aside ==============================================================================
-- A job of another model's card leaves its queue as soon as a claim comes upon it, and waits among
-- the jobs of its card, in a fair order of their own. Claims of other cards never see it again.

-- Puts a job that stands nowhere among those of its card.
local function wait_aside(queue, id, card, at_front)
  local job = redis.call('HMGET', job_key(id), 'hr_tenant', 'hr_tokens', 'hr_deaths', 'hr_accepted',
    'hr_expires', 'hr_model')
  local name = aside_name(queue, card)
  give_tag(name, id, at_front, job)
  redis.call('ZADD', line_key(name), job[4] or NOW, id)
  redis.call('HSET', ASIDE, card, job[6] or '')
  -- One that has run before does not expire in its queue; here it may wait for a model that never
  -- comes back.
  if not job[5] then expire_at(id, now + QUEUE_TTL_S) end
end

-- Moves a waiting job from its queue to those of its card; false where RQ's list has it no more.
local function set_aside(queue, id, card)
  local place = tonumber(redis.call('ZSCORE', line_key(queue), id) or nil) or 0
  if not leave(queue, queue, id, true) then return false end
  wait_aside(queue, id, card, place < 0)
  return true
end

-- Jobs that stock RQ put into a queue have no place in the fair order yet: they stand at its ends.
-- Ids of what does not wait are taken out of the list, and added to `odd`.
local function adopt(queue, odd)
  local list = queue_key(queue)
  local strange = redis.call('LLEN', list) - redis.call('ZCARD', fair_key(queue))
  local function take_in(id, at_front)
    strange = strange - 1
    local status = redis.call('HGET', job_key(id), 'status')
    if status == 'queued' and standing(queue, id) ~= queue then
      redis.call('LREM', list, 1, id) -- it waits already, set aside
    elseif status == 'queued' then
      redis.call('PERSIST', job_key(id))
      redis.call('HSETNX', job_key(id), 'hr_accepted', NOW)
      order(queue, id, at_front)
    elseif odd then
      redis.call('LREM', list, 1, id)
      table.insert(odd, {id, status or ''})
    end
  end
  local function is_strange(id) return not redis.call('ZSCORE', fair_key(queue), id) end
  if strange <= 0 then return end
  local in_front = {}
  for _, id in ipairs(redis.call('LRANGE', list, 0, AT_ONCE - 1)) do
    if not is_strange(id) then break end
    table.insert(in_front, id)
  end
  for i = #in_front, 1, -1 do take_in(in_front[i], true) end
  if strange <= 0 then return end
  for _, id in ipairs(redis.call('LRANGE', list, -AT_ONCE, -1)) do
    if is_strange(id) then take_in(id, false) end
  end
end

-- == Running jobs ================================================================================

-- Seconds for which RQ believes in a running job without a sign of life.
local function execution_ttl(timeout)
  local seconds = tonumber(timeout or nil) or 420
  if seconds < 0 then return 420 end
  return math.floor(math.min(seconds, LONGEST_S)) + 60
end

-- The traces of a running job, as RQ's own worker would remove them.
local function drop_execution(id, eid, queue, worker)
  local composite = id .. ':' .. eid
  doomed[#doomed + 1] = RQ .. ':execution:' .. composite
  doomed[#doomed + 1] = RQ .. ':executions:' .. id
  gather('ZREM', RQ .. ':wip:' .. queue, composite)
  gather('SREM', executions_key(worker), composite)
  gather('ZREM', LEASES, id)
end

-- Whether this attempt still owns the job: who lost its lease can change nothing. The job's status
-- is the second value, more of its fields the third.
local function owns(id, eid, ...)
  local fields = redis.call('HMGET', job_key(id), 'status', 'hr_lease', ...)
  return fields[1] == 'started' and fields[2] == eid, fields[1], fields
end

-- A status or a reason as JSON.
local quotes = {}
local function quoted(word)
  word = word or ''
  quotes[word] = quotes[word] or cjson.encode(word)
  return quotes[word]
end

-- The line of a message that tells an entry: JSON, as headrace/core/news.py reads it.
local function told(place, ids, text, logprobs, status, reason)
  local line = '["' .. place .. '",' .. ids .. ',' .. cjson.encode(text)
  if status or logprobs then line = line .. ',' .. quoted(status) .. ',' .. quoted(reason) end
  if logprobs then line = line .. ',' .. logprobs end
  return #line < MOST_TOLD and line .. ']' or ''
end

-- Appends an entry to a job's token stream; one that stands there already stays as it is. Logprobs
-- are part of it only where they were asked for, status and reason only of the last one. Returns what
-- Redis complains of, or nil, and the line that tells the entry: '' where readers have to look.
local function append(id, place, ids, text, logprobs, status, reason)
  local entry = {'ids', ids, 'text', text}
  local function add(name, value)
    entry[#entry + 1] = name
    entry[#entry + 1] = value
  end
  if logprobs == '' then logprobs = nil end
  if status then
    add('end', status)
    add('reason', reason)
  end
  if logprobs then add('logprobs', logprobs) end
  local added = redis.pcall('XADD', stream_key(id), place, unpack(entry))
  if not added.err then return nil, told(place, ids, text, logprobs, status, reason) end
  if string.find(added.err, 'equal or smaller') then return nil, '' end
  return added
end

-- Adds a job and the line about it to a message. An id of a stock RQ job may have a space in it, and
-- would move the lines that follow to other jobs: nobody is told of that one.
local function add_news(message, id, line)
  if string.find(id, '%s') then return end
  table.insert(message.ids, id)
  table.insert(message.lines, line)
end

-- Tells all readers at once.
local function tell(channel, message)
  if #message.ids == 0 then return end
  redis.call('PUBLISH', channel,
    table.concat(message.ids, ' ') .. '\n' .. table.concat(message.lines, '\n'))
end

-- Puts a leased job back to the front of its queue, with a deadline if it has one, and notes why.
local function put_back(id, eid, event)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'origin', 'worker_name', 'hr_deadline', 'hr_timeline')
  drop_execution(id, eid, job[1], job[2] or '')
  redis.call('HSET', key, 'status', 'queued', 'started_at', '', 'worker_name', '', 'hr_lease', '',
    'hr_alone', '', 'hr_timeline', noted(job[4], {event = event, worker = job[2] or nil}))
  redis.call('HDEL', key, 'hr_expires')
  enqueue(job[1], id, true)
  if job[3] then expire_at(id, tonumber(job[3])) end
  ring()
end

-- == Counting ====================================================================================

local function count(field, amount)
  if COUNTING then tally[field] = (tally[field] or 0) + amount end
end

-- A call of a worker that lost its lease; what was cancelled or purged is no worker's fault.
local function count_late(call, status)
  if status and status ~= 'canceled' and status ~= 'stopped' then count('late:' .. call, 1) end
end

-- One observation of a histogram: headrace/core/histogram.py reads them.
local function observe(name, bounds, labels, seconds)
  if not COUNTING then return end
  local seen = histograms[name]
  if not seen then
    seen = {sum = 0, place = 1, buckets = {}}
    histograms[name] = seen
  end
  -- Jobs that end together are alike: the search begins where the last one ended.
  local place = seen.place
  while place > 1 and seconds <= bounds[place - 1] do place = place - 1 end
  while place <= #bounds and seconds > bounds[place] do place = place + 1 end
  local bucket = labels[place] or '+Inf'
  seen.place, seen.buckets[bucket] = place, (seen.buckets[bucket] or 0) + 1
  seen.sum = seen.sum + math.floor(seconds * 1000000 + 0.5)
end

-- Counts a job that has just ended, in the script that ends it: once, whoever repeats a call.
-- Latencies are those of jobs that succeeded. A cancelled job is neither good nor bad.
local function count_end(outcome, accepted, claimed, first, last)
  count('jobs:' .. outcome.status .. ':' .. outcome.reason, 1)
  count('tokens:output', outcome.count)
  if outcome.report ~= '' then
    count('tokens:input', outcome.prompt_tokens)
  end
  if outcome.dead then count('dead', 1) end
  if outcome.status == 'canceled' or outcome.status == 'stopped' then return end
  count('slo', 1)
  if outcome.status ~= 'finished' then return end
  if first - accepted <= SLO_LATENCY_S
    and now - accepted <= SLO_LATENCY_S + outcome.count * SLO_TPOT_S then count('slo_good', 1) end
  observe('job_e2e_seconds', LATENCY_S, LATENCY_LABELS, now - accepted)
  observe('queue_wait_seconds', LATENCY_S, LATENCY_LABELS, claimed - accepted)
  observe('inference_seconds', LATENCY_S, LATENCY_LABELS, last - claimed)
  observe('time_to_first_token_seconds', LATENCY_S, LATENCY_LABELS, first - accepted)
  if outcome.count > 1 then
    observe('time_per_output_token_seconds', TOKEN_LATENCY_S, TOKEN_LATENCY_LABELS,
      (last - first) / (outcome.count - 1))
  end
end

-- == Pace ========================================================================================
-- How fast the fleet works, for headrace/core/jobs/pace.py: what ended lately counts, older ends less
-- and less. Its rate is measured only while it is full (a claim ran out of room and left jobs
-- waiting): a fleet that has nothing to do is not slow.

local ended_work = {tokens = 0, prompt = 0, prefill_s = 0, allowed = 0, decode_s = 0,
  open_jobs = 0, open_tokens = 0}
local SERVICE = {'prompt', 'prefill_s', 'allowed', 'decode_s'}
local OPEN = {'open_jobs', 'open_tokens'}
local OPEN_KEPT = 0.99 -- what an open job leaves of the weight of those before it

-- A job that ran has ended; `cost` is the tokens that it counted for while it waited. An open one had
-- no limit of its caller's.
local function note_work(outcome, cost, is_open, claimed, first, last)
  ended_work.tokens = ended_work.tokens + cost
  if outcome.status ~= 'finished' then return end
  ended_work.prompt = ended_work.prompt + outcome.prompt_tokens
  ended_work.prefill_s = ended_work.prefill_s + math.max(0, first - claimed)
  ended_work.allowed = ended_work.allowed
    + math.max(1, is_open and outcome.count or cost - outcome.prompt_tokens)
  if is_open then
    ended_work.open_jobs = ended_work.open_jobs + 1
    ended_work.open_tokens = ended_work.open_tokens + outcome.count
  end
  ended_work.decode_s = ended_work.decode_s + last - first
end

local function note_pace()
  if ended_work.tokens == 0 then return end
  local known = redis.pcall('HMGET', PACE, 'at', 'full_since', 'tokens', 'seconds', 'prompt',
    'prefill_s', 'allowed', 'decode_s', unpack(OPEN))
  if known.err then return end
  local at, full_since = tonumber(known[1] or nil), tonumber(known[2] or nil)
  local news = {'at', NOW}
  local function set(field, kept, amount, place)
    news[#news + 1] = field
    news[#news + 1] = string.format('%.9g', (tonumber(known[place] or nil) or 0) * kept + amount)
  end
  -- After a long silence the next job counts as much as all before it.
  local kept = math.min(1, math.max(0.5, math.exp(((at or now) - now) / SERVICE_S)))
  for i, field in ipairs(SERVICE) do set(field, kept, ended_work[field], 4 + i) end
  if ended_work.open_jobs > 0 then
    local open_kept = math.pow(OPEN_KEPT, ended_work.open_jobs)
    for i, field in ipairs(OPEN) do set(field, open_kept, ended_work[field], 8 + i) end
  end
  if full_since then
    local seconds = math.max(0, math.min(now - math.max(at or 0, full_since), RATE_S))
    kept = math.exp(-seconds / RATE_S)
    set('tokens', kept, ended_work.tokens, 3)
    set('seconds', kept, seconds, 4)
  end
  redis.call('HSET', PACE, unpack(news))
end

-- Forgets the cards that nothing is set aside for any more.
local function forget_cards()
  for name in pairs(freed_tokens) do
    local card = string.match(name, '@(.*)$')
    local waits = false
    for _, queue in ipairs(card and QUEUES or {}) do
      waits = waits or redis.call('EXISTS', fair_key(aside_name(queue, card))) == 1
    end
    if card and not waits then redis.call('HDEL', ASIDE, card) end
  end
end

-- Adds all that was counted to the fleet's totals.
local function add_counts()
  local fields, news = {}, {}
  for field in pairs(tally) do fields[#fields + 1] = field end
  if #fields == 0 then return end
  local known = redis.pcall('HMGET', COUNTS, unpack(fields))
  if known.err then return end
  for i, field in ipairs(fields) do
    news[2 * i - 1] = field
    news[2 * i] = string.format('%.0f', (tonumber(known[i] or nil) or 0) + tally[field])
  end
  redis.call('HSET', COUNTS, unpack(news))
end

-- RQ enqueues the jobs that depend on ended ones: notes those that have any.
local function note_parents()
  local dependents = {}
  for i, parent in ipairs(parents) do dependents[i] = job_key(parent.id) .. ':dependents' end
  if call_for('EXISTS', dependents) == 0 then return end
  for i, parent in ipairs(parents) do
    if redis.call('EXISTS', dependents[i]) == 1 then
      redis.call('HSET', PARENTS, parent.id, parent.status)
      if parent.ttl ~= 0 then keep_for(dependents[i], parent.ttl) end
    end
  end
end

-- Does what was gathered. A count that cannot be taken (its key is of another type) must not undo
-- what a script has done.
local function close()
  for command, of_command in pairs(calls) do
    for key, members in pairs(of_command) do call_with(command, key, members) end
  end
  for queue in pairs(fronts) do close_front(queue) end
  for queue, number in pairs(holes) do redis.call('LREM', queue_key(queue), number, HOLE) end
  for queue, tokens in pairs(freed_tokens) do
    if redis.call('EXISTS', fair_key(queue)) == 0 then
      redis.call('DEL', share_key(queue), tenants_key(queue), line_key(queue), costs_key(queue))
    else
      redis.call('HINCRBY', share_key(queue), 'tokens', -tokens)
    end
  end
  forget_cards()
  call_for('DEL', doomed)
  for tenant, ids in pairs(let_go_of) do let_go(tenant, ids) end
  note_parents()
  for name, seen in pairs(histograms) do
    count(name .. ':sum', seen.sum)
    for bucket, amount in pairs(seen.buckets) do count(name .. ':' .. bucket, amount) end
  end
  add_counts()
  note_pace()
  tell(ENDED_CHANNEL, ends)
end

-- Does a script's work and then what was gathered, even if it fails half-way: Redis takes nothing
-- back, and a job that is marked as running must have its lease.
local function run_and_close(work)
  local is_done, problem = pcall(work)
  close()
  if not is_done then error(problem, 0) end
end

-- The same, also where the server is out of memory: it refuses a script's first write if that needs
-- memory, and no later one. The first write here needs none, so no job is left half moved.
local function complete(work)
  redis.call('ZREM', EXPIRIES, '')
  run_and_close(work)
end

-- == Ends ========================================================================================

-- Seconds for which RQ keeps an ended job, and its result; nil: for ever.
local function ttl_of(status, result_ttl, failure_ttl)
  if status == 'canceled' then
    local ttl = tonumber(result_ttl or nil) or 0
    ttl = ttl > 0 and math.min(ttl, LONGEST_S) or RESULT_TTL_S
    return ttl, ttl
  end
  if status == 'finished' then
    local ttl = math.min(tonumber(result_ttl or nil) or RESULT_TTL_S, LONGEST_S)
    return ttl, ttl
  end
  local ttl = tonumber(failure_ttl or nil)
  if ttl then ttl = math.min(ttl, LONGEST_S) end
  return ttl or FAILURE_TTL_S, ttl or -1
end

-- A job that keeps no result is gone once it has ended, but for those who read its stream, its
-- worker that asks again, and the jobs that depend on it.
local function vanish(id, status, eid)
  local key = job_key(id)
  redis.call('DEL', key, RQ .. ':results:' .. id)
  redis.call('EXPIRE', stream_key(id), FORGET_S)
  if eid ~= '' then redis.call('SET', ended_key(eid), status, 'EX', FORGET_S) end
  if status ~= 'finished' then redis.call('DEL', key .. ':dependents', dependencies_key(id)) end
end

-- What remains of an ended job, as RQ would keep it.
local function settle(id, queue, status, ttl, eid)
  local key = job_key(id)
  -- RQ scores cancelled jobs by when they were cancelled, the others by when they may go. The sweep
  -- forgets them RESULT_TTL_S later: one that is kept for longer is listed for as long.
  local registry, score = ':failed:', ttl < 0 and ttl or stamp_after(ttl)
  if status == 'finished' then
    registry, score = ':finished:', ttl == -1 and '+inf' or score
  elseif status == 'canceled' then
    registry, score = ':canceled:', stamp(now + math.max(0, ttl - RESULT_TTL_S))
  end
  if status ~= 'finished' or ttl ~= 0 then
    gather_scored(RQ .. registry .. queue, score, id)
  end
  if status == 'finished' or (status ~= 'canceled' and ttl ~= 0) then
    parents[#parents + 1] = {id = id, status = status, ttl = ttl}
  end
  if ttl == 0 then return vanish(id, status, eid) end
  keep_for(key, ttl)
  keep_for(stream_key(id), ttl)
end

-- What the end of a job depends on.
local function load_job(id)
  return redis.call('HMGET', job_key(id), 'status', 'hr_lease', 'origin', 'worker_name',
    'hr_accepted', 'hr_claimed', 'hr_first_token', 'hr_last_token', 'result_ttl', 'failure_ttl',
    'ended_at', 'dependency_ids', 'hr_tokens', 'hr_idempotency', 'hr_tenant', 'hr_expected')
end

-- A job without a limit was charged the mean length of such answers: its tenant's next turn comes the
-- later, or the sooner, by what it made beyond that. Where nobody waits nothing is shared.
local function settle_turn(queue, tenant, difference)
  if difference == 0 or redis.call('EXISTS', fair_key(queue)) == 0 then return end
  local virtual = tonumber(redis.call('HGET', share_key(queue), 'now') or nil) or 0
  local turn = tonumber(redis.call('ZSCORE', tenants_key(queue), tenant) or nil) or virtual
  redis.call('ZADD', tenants_key(queue), stamp(math.max(virtual, turn + difference)), tenant)
end

-- Brings a job that waits or runs to its one terminal state.
--   outcome: status (finished|failed|stopped|canceled), reason, dead (true for a dead letter),
--            ended_at (RQ's format), return_value and exc_string (base64, or ''), report (JSON or ''),
--            ended_by (the execution that hands in its result, or ''),
--            ids (JSON), text and logprobs (JSON, or nil) not published yet, count (tokens in all),
--            age (s since the last)
--   job:     its fields, where they are at hand
-- Returns the job's five stamps: accepted, claimed, first token, last token, committed.
local function end_job(id, outcome, job)
  local key = job_key(id)
  job = job or load_job(id)
  local queue, worker, eid = job[3] or '', job[4] or '', job[2] or ''
  local accepted = tonumber(job[5]) or now
  local claimed = tonumber(job[6]) or now
  local last = tonumber(job[8])
  if outcome.ids ~= '[]' then last = math.max(claimed, now - outcome.age) end
  local first = tonumber(job[7]) or last or now
  last = math.max(last or now, first)
  local last_at = stamp(last)
  local first_at = first == last and last_at or stamp(first)
  local stamps = {job[5] or NOW, job[6] or NOW, first_at, last_at, NOW}
  local ttl, result_ttl = ttl_of(outcome.status, job[9], job[10])
  local is_cancelled, is_canary = outcome.status == 'canceled', job[15] == CANARY
  outcome.prompt_tokens = tonumber(string.match(outcome.report, '"prompt_tokens":(%d+)') or nil) or 0

  local problem, line = append(id, outcome.count .. '-1', outcome.ids, outcome.text,
    outcome.logprobs, outcome.status, outcome.reason)
  if problem then error(problem) end
  redis.call('HSET', key, 'status', outcome.status,
    'ended_at', is_cancelled and (job[11] or '') or outcome.ended_at,
    'hr_reason', outcome.reason, 'hr_report', outcome.report, 'hr_ended_by', outcome.ended_by,
    'hr_lease', '', 'hr_first_token', stamps[3], 'hr_last_token', stamps[4], 'hr_committed', NOW)
  if not job[6] then redis.call('HSET', key, 'hr_claimed', NOW) end
  if not is_cancelled then
    local result = {'type', outcome.status == 'finished' and '1' or '2', 'worker_name', worker}
    local function add(name, value)
      result[#result + 1] = name
      result[#result + 1] = value
    end
    if outcome.return_value ~= '' then add('return_value', outcome.return_value) end
    if outcome.exc_string ~= '' then add('exc_string', outcome.exc_string) end
    if eid ~= '' then
      add('execution_id', eid)
      add('execution_started_at', stamps[2])
      add('execution_ended_at', stamps[5])
    end
    redis.call('XADD', RQ .. ':results:' .. id, 'MAXLEN', 10, '*', unpack(result))
    keep_for(RQ .. ':results:' .. id, result_ttl)
  end
  if eid ~= '' then drop_execution(id, eid, queue, worker) end
  local tenant = job[15] or 'default'
  let_go_of[tenant] = let_go_of[tenant] or {}
  table.insert(let_go_of[tenant], id)
  settle(id, queue, outcome.status, ttl, eid)
  if job[12] and ttl ~= 0 and not is_cancelled then keep_for(dependencies_key(id), ttl) end
  if job[14] and ttl > 0 then redis.call('EXPIRE', job[14], math.floor(ttl), 'GT') end
  if is_canary then return stamps end
  -- One that an older version accepted is not in the list yet.
  if ttl == 0 then gather('ZREM', JOBS, id) else gather_scored(JOBS, stamps[1], id) end
  if outcome.dead and ttl ~= 0 then
    redis.call('ZADD', DEAD, ttl < 0 and '+inf' or stamp(now + ttl), id)
  end

  redis.call('XADD', COMPLETIONS, 'MAXLEN', '~', COMPLETION_LOG_MAX, '*',
    'id', id, 'status', outcome.status, 'reason', outcome.reason, 'report', outcome.report,
    'stamps', table.concat(stamps, ' '))
  add_news(ends, id, line)
  count_end(outcome, accepted, claimed, first, last)
  count('tokens:ended', tonumber(job[13] or nil) or 1)
  if eid ~= '' and not is_cancelled then
    note_work(outcome, tonumber(job[13] or nil) or 1, job[16], claimed, first, last)
  end
  if eid ~= '' and job[16] then settle_turn(queue, tenant, outcome.count - tonumber(job[16])) end
  return stamps
end

-- The outcome of a job that no engine ended.
local function failure(id, status, reason, exc_string, ended_at)
  local last = redis.call('XREVRANGE', stream_key(id), '+', '-', 'COUNT', 1)[1]
  return {
    status = status, reason = reason, dead = reason == 'dead', ended_at = ended_at,
    return_value = '', exc_string = exc_string, report = '', ended_by = '', ids = '[]', text = '',
    age = 0, count = last and tonumber(string.match(last[1], '^%d+')) or 0,
  }
end

-- Stock RQ cancels and deletes jobs without a word to anybody: gives such a job its end.
local function end_as_rq_did(id, status)
  if not status then
    redis.call('DEL', stream_key(id))
  elseif status == 'canceled' and redis.call('HEXISTS', job_key(id), 'hr_committed') == 0 then
    end_job(id, failure(id, 'canceled', 'cancelled', '', ''))
  end
end

-- Removes what is left of an attempt that somebody else ended, so that an idle worker is not taken
-- for a busy one. A lease that is another's is left to it.
local function drop_attempt(id, eid, worker)
  local composite = id .. ':' .. eid
  local job = redis.call('HMGET', job_key(id), 'hr_lease', 'status')
  redis.call('DEL', RQ .. ':execution:' .. composite)
  redis.call('ZREM', RQ .. ':executions:' .. id, eid) -- another attempt may have its own there
  for _, queue in ipairs(QUEUES) do gather('ZREM', RQ .. ':wip:' .. queue, composite) end
  gather('SREM', executions_key(worker), composite)
  local lease = job[1] or ''
  if lease ~= '' and lease ~= eid then return end
  gather('ZREM', LEASES, id)
  if lease ~= '' then redis.call('HSET', job_key(id), 'hr_lease', '') end
  end_as_rq_did(id, job[2])
end

