-- mark_replayed: notes on a dead letter which job asks its request again.
-- KEYS: 1 the dead letter's hash
-- ARGV: 1 id of the new job, 2 the dead letter's end (hr_committed)
-- Returns 1 noted, 0 the dead letter is gone or lives again.
-- Atomic with the check of its end: a field set on a hash that has just expired would bring a
-- nameless job back, and for ever.

if redis.call('HGET', KEYS[1], 'hr_committed') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'hr_replayed_as', ARGV[1])
return 1
