-- count: adds what a worker has counted since it last said so to the fleet's counts.
-- KEYS: 1 the fleet's counts, 2 what of this worker stands in them already
-- ARGV: 1 ttl of KEYS[2] in s, then field, the worker's total since its start …
-- Returns nothing.
-- Atomic, so that a call repeated after a lost answer adds nothing twice.

for i = 2, #ARGV, 2 do
  local field, total = ARGV[i], tonumber(ARGV[i + 1])
  local before = tonumber(redis.call('HGET', KEYS[2], field) or 0)
  if total > before then
    redis.call('HINCRBY', KEYS[1], field, string.format('%.0f', total - before))
    redis.call('HSET', KEYS[2], field, ARGV[i + 1])
  end
end
redis.call('EXPIRE', KEYS[2], ARGV[1])
