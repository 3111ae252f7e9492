-- Shared by all scripts: put in front of each when it is loaded.
-- RQ and the key names are filled in by rq_adapter.py. Keys of jobs are built here from their ids,
-- so Headrace does not run on Redis Cluster.

local RQ = '{rq}'
local LEASES = '{leases}'
local DOORBELL = '{doorbell}'
local COMPLETIONS = '{completions}'
local ENDED_CHANNEL = '{ended_channel}'
local TOKENS_CHANNEL = '{tokens_channel}'
local DEAD = '{dead}'
local COUNTS = '{counts}'
local COUNTING = {counting}
local LATENCY_S = {latency_s}
local TOKEN_LATENCY_S = {token_latency_s}
local SLO_LATENCY_S, SLO_TPOT_S = {slo_latency_s}, {slo_tpot_s}

local function redis_now()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- Lua prints 14 digits of a number; a timestamp needs 16.
local function stamp(seconds)
  return string.format('%.6f', seconds)
end

local function job_key(id)
  return RQ .. ':job:' .. id
end

local function stream_key(id)
  return 'headrace:stream:' .. id
end

local function queue_key(name)
  return RQ .. ':queue:' .. name
end

local function ring(doorbell)
  redis.call('LPUSH', doorbell, '1')
  redis.call('LTRIM', doorbell, 0, 63)
end

-- The traces of a running job, as RQ's own worker would remove them.
local function drop_execution(id, eid, queue, worker)
  local composite = id .. ':' .. eid
  redis.call('DEL', RQ .. ':execution:' .. composite)
  redis.call('ZREM', RQ .. ':executions:' .. id, eid)
  redis.call('ZREM', RQ .. ':wip:' .. queue, composite)
  redis.call('SREM', RQ .. ':worker:' .. worker .. ':executions', composite)
  redis.call('ZREM', LEASES, id)
end

-- True where this attempt still owns the job: whoever lost its lease can change nothing.
local function owns(id, eid)
  local fields = redis.call('HMGET', job_key(id), 'status', 'hr_lease')
  return fields[1] == 'started' and fields[2] == eid
end

-- A count that cannot be kept must not decide about a job.
local function count(field, number)
  redis.pcall('HINCRBY', COUNTS, field, number)
end

-- Fields as headrace/core/histogram.py reads them.
local function observe(name, bounds, seconds)
  local bucket = '+Inf'
  for _, bound in ipairs(bounds) do
    if seconds <= tonumber(bound) then
      bucket = bound
      break
    end
  end
  count(name .. ':' .. bucket, 1)
  count(name .. ':sum', string.format('%.0f', seconds * 1000000))
end

-- Counts a job that has just ended, in the script that ends it: once, whoever repeats a call.
-- Latencies are those of jobs that succeeded. A cancelled job is neither good nor bad.
local function count_end(outcome, accepted, claimed, first, last, now)
  if not COUNTING then return end
  count('jobs:' .. outcome.status .. ':' .. outcome.reason, 1)
  count('tokens:output', outcome.count)
  if outcome.report ~= '' then
    count('tokens:input', cjson.decode(outcome.report).prompt_tokens or 0)
  end
  if outcome.status == 'canceled' then return end
  count('slo', 1)
  if outcome.status ~= 'finished' then return end
  if first - accepted <= SLO_LATENCY_S
    and now - accepted <= SLO_LATENCY_S + outcome.count * SLO_TPOT_S then count('slo_good', 1) end
  observe('job_e2e_seconds', LATENCY_S, now - accepted)
  observe('queue_wait_seconds', LATENCY_S, claimed - accepted)
  observe('inference_seconds', LATENCY_S, last - claimed)
  observe('time_to_first_token_seconds', LATENCY_S, first - accepted)
  if outcome.count > 1 then
    observe('time_per_output_token_seconds', TOKEN_LATENCY_S, (last - first) / (outcome.count - 1))
  end
end

-- Brings a job that waits or runs to its one terminal state.
--   outcome: status (finished|failed|canceled), reason, ended_at (RQ's format), ttl (s), log_max,
--            return_value and exc_string (base64, or ''), report (JSON or ''),
--            ended_by (the execution that hands in its result, or ''),
--            ids (JSON) and text not published yet, count (tokens in all), age (s since the last)
-- Returns the job's five stamps: accepted, claimed, first token, last token, committed.
local function end_job(id, outcome)
  local key = job_key(id)
  local now = redis_now()
  local job = redis.call('HMGET', key, 'origin', 'worker_name', 'hr_lease', 'hr_accepted',
    'hr_claimed', 'hr_first_token', 'hr_last_token', 'started_at')
  local queue, worker, eid = job[1] or '', job[2] or '', job[3] or ''
  local accepted = tonumber(job[4]) or now
  local claimed = tonumber(job[5]) or now
  local last = tonumber(job[7])
  if outcome.ids ~= '[]' then last = math.max(claimed, now - outcome.age) end
  local first = tonumber(job[6]) or last or now
  last = math.max(last or now, first)

  redis.call('XADD', stream_key(id), string.format('%d-1', outcome.count),
    'ids', outcome.ids, 'text', outcome.text, 'end', outcome.status, 'reason', outcome.reason)
  redis.call('EXPIRE', stream_key(id), outcome.ttl)

  local result_type = outcome.status == 'finished' and '1' or '2'
  local result = {'type', result_type, 'worker_name', worker}
  if outcome.return_value ~= '' then
    table.insert(result, 'return_value')
    table.insert(result, outcome.return_value)
  end
  if outcome.exc_string ~= '' then
    table.insert(result, 'exc_string')
    table.insert(result, outcome.exc_string)
  end
  if eid ~= '' then
    table.insert(result, 'execution_id')
    table.insert(result, eid)
    table.insert(result, 'execution_started_at')
    table.insert(result, stamp(claimed))
    table.insert(result, 'execution_ended_at')
    table.insert(result, stamp(now))
  end
  local registry
  if outcome.status == 'canceled' then
    registry = ':canceled:'
  else
    registry = outcome.status == 'finished' and ':finished:' or ':failed:'
    redis.call('XADD', RQ .. ':results:' .. id, 'MAXLEN', 10, '*', unpack(result))
    redis.call('EXPIRE', RQ .. ':results:' .. id, outcome.ttl)
  end
  -- RQ scores cancelled jobs by when they were cancelled, the others by when they may go.
  local score = outcome.status == 'canceled' and now or now + outcome.ttl
  redis.call('ZADD', RQ .. registry .. queue, stamp(score), id)

  redis.call('HSET', key, 'status', outcome.status, 'ended_at', outcome.ended_at,
    'hr_reason', outcome.reason, 'hr_report', outcome.report, 'hr_ended_by', outcome.ended_by,
    'hr_claimed', stamp(claimed), 'hr_first_token', stamp(first), 'hr_last_token', stamp(last),
    'hr_committed', stamp(now))
  redis.call('EXPIRE', key, outcome.ttl)
  if eid ~= '' then
    redis.call('HDEL', key, 'hr_lease')
    drop_execution(id, eid, queue, worker)
  end

  local stamps = {stamp(accepted), stamp(claimed), stamp(first), stamp(last), stamp(now)}
  redis.call('XADD', COMPLETIONS, 'MAXLEN', '~', outcome.log_max, '*',
    'id', id, 'status', outcome.status, 'reason', outcome.reason, 'report', outcome.report,
    'accepted', stamps[1], 'claimed', stamps[2], 'first_token', stamps[3],
    'last_token', stamps[4], 'committed', stamps[5])
  redis.call('PUBLISH', ENDED_CHANNEL, id)
  count_end(outcome, accepted, claimed, first, last, now)
  return stamps
end

-- The outcome of a job that no engine ended.
local function failure(status, reason, exc_string, ended_at, ttl, log_max, id)
  local last = redis.call('XREVRANGE', stream_key(id), '+', '-', 'COUNT', 1)[1]
  return {
    status = status, reason = reason, ended_at = ended_at, ttl = ttl, log_max = log_max,
    return_value = '', exc_string = exc_string, report = '', ended_by = '', ids = '[]', text = '', age = 0,
    count = last and tonumber(string.match(last[1], '^%d+')) or 0,
  }
end

-- A job that `rq requeue` brought back starts a new life.
local function forget_last_life(id)
  redis.call('ZREM', DEAD, id)
  redis.call('DEL', stream_key(id))
  redis.call('HDEL', job_key(id), 'hr_committed', 'hr_claimed', 'hr_first_token', 'hr_last_token',
    'hr_reason', 'hr_report', 'hr_ended_by', 'hr_attempt', 'hr_deaths', 'hr_deadline',
    'hr_replayed_as')
  redis.call('HSET', job_key(id), 'hr_accepted', stamp(redis_now()))
end

-- Puts a leased job back to the front of its queue.
local function put_back(id, eid)
  local key = job_key(id)
  local job = redis.call('HMGET', key, 'origin', 'worker_name')
  drop_execution(id, eid, job[1], job[2] or '')
  redis.call('HSET', key, 'status', 'queued', 'started_at', '', 'worker_name', '')
  redis.call('HDEL', key, 'hr_lease')
  redis.call('LPUSH', queue_key(job[1]), id)
  ring(DOORBELL)
end
