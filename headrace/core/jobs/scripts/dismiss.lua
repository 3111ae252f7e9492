-- dismiss: whether a worker may be told to end, as it runs nothing and will be given nothing.
-- KEYS: 1 the workers that are told to end
-- ARGV: 1 the worker's name
-- Returns 1 yes, 0 not yet.
-- Atomic: between the look and the word nobody can call the worker back and give it a job.

if redis.call('SISMEMBER', KEYS[1], ARGV[1]) == 1 then return 1 end
if redis.call('SISMEMBER', DRAINING, ARGV[1]) == 0 then return 0 end
if redis.call('SCARD', executions_key(ARGV[1])) > 0 then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
return 1
