-- reprioritise: moves a waiting job to the end of another queue, or a scheduled, deferred or set aside
-- one to where that queue's own stand.
-- KEYS: 1 the job's hash, 2 RQ's set of queues
-- ARGV: 1 job id, 2 name of the queue it goes to
-- Returns 1 it waits there (also where it did before), 0 it waits no longer, -1 no such job of ours.
-- Atomic, so that no claim finds the job in no queue, or in two. When it expires stays as it was.

local id, to = ARGV[1], ARGV[2]
local job = redis.call('HMGET', KEYS[1], 'status', 'origin', 'hr_timeline')
local status, from = job[1], job[2]

local function settle_in()
  redis.call('HSET', KEYS[1], 'origin', to, 'hr_timeline',
    noted(job[3], {event = 'reprioritised', queue = to}))
  redis.call('SADD', KEYS[2], queue_key(to))
end

local function move_waiting()
  local _, card = standing(from, id)
  local stood_there = withdraw(from, id, true)
  if stood_there then
    settle_in()
    if card then
      wait_aside(to, id, card, false)
      ring_for(card)
    else
      enqueue(to, id, false)
      ring()
    end
  end
  close()
  local expires = redis.call('HGET', KEYS[1], 'hr_expires')
  if expires then expire_at(id, tonumber(expires)) end
  return stood_there and 1 or 0
end

local function move_registered(registry)
  local score = redis.call('ZSCORE', RQ .. registry .. from, id)
  if not score then return 0 end
  settle_in()
  redis.call('ZREM', RQ .. registry .. from, id)
  redis.call('ZADD', RQ .. registry .. to, score, id)
  return 1
end

if not from or not is_ours(from) then return -1 end
if status ~= 'queued' and status ~= 'scheduled' and status ~= 'deferred' then return 0 end
if from == to then return 1 end
if status == 'queued' then return move_waiting() end
return move_registered(':' .. status .. ':')
