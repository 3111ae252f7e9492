-- lead: lets one scaler at a time act.
-- KEYS: 1 the scalers' lease
-- ARGV: 1 who asks, 2 s that its lease is to last (0: it resigns)
-- Returns its fencing number, or 0 where another has the lease.
-- Atomic, so that two never lead at once. The number grows with each new leader: what an old one
-- still sends is refused by it.

local lease = redis.call('HMGET', KEYS[1], 'holder', 'until', 'fence')
local is_mine = lease[1] == ARGV[1]
if not is_mine and (tonumber(lease[2] or nil) or 0) > now then return 0 end
local fence = tonumber(lease[3] or nil) or 0
if not is_mine then fence = fence + 1 end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', stamp(now + tonumber(ARGV[2])),
  'fence', fence)
return fence
