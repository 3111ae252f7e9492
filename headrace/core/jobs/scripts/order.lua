-- order: what the leading scaler wants: how many workers, and which of them take no more jobs.
-- KEYS: 1 the scalers' lease, 2 the desired fleet, 3 the decision log, 4 the workers that drain
--       because they are too many, 5 the workers that are told to end
-- ARGV: 1 who asks, 2 its fencing number, 3 number of workers, or '' to change nothing,
--       4 a record for the decision log or '', 5 most records, 6… names of workers that are too many
-- Returns 1, or 0 where the lease is another's or over: then nothing was done.
-- Atomic with the check of the lease. A worker that somebody else drains is left to him; one that is
-- told to end already cannot be called back.

local lease = redis.call('HMGET', KEYS[1], 'holder', 'fence', 'until')
if lease[1] ~= ARGV[1] or lease[2] ~= ARGV[2] or tonumber(lease[3]) <= now then return 0 end

local function resize()
  local before = tonumber(redis.call('HGET', KEYS[2], 'size') or nil)
  local size = tonumber(ARGV[3])
  if before == size then return 'hold' end
  redis.call('HSET', KEYS[2], 'size', size, 'since', NOW)
  return size > (before or 0) and 'up' or 'down'
end

local function drain_surplus()
  local is_surplus = {}
  for i = 6, #ARGV do
    is_surplus[ARGV[i]] = true
    if redis.call('SADD', DRAINING, ARGV[i]) == 1 then redis.call('SADD', KEYS[4], ARGV[i]) end
  end
  for _, name in ipairs(redis.call('SMEMBERS', KEYS[4])) do
    if not is_surplus[name] and redis.call('SISMEMBER', KEYS[5], name) == 0 then
      redis.call('SREM', DRAINING, name)
      redis.call('SREM', KEYS[4], name)
    end
  end
end

if ARGV[3] == '' then
  count('scaler:unknown', 1)
else
  count('scaler:' .. resize(), 1)
  drain_surplus()
end
if ARGV[4] ~= '' then
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', 'record', ARGV[4])
end
close()
return 1
