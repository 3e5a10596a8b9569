-- Reserve units of one SKU in Redis: the work that Holdfast's `reserve` does, as far as a script does it.
--   KEYS[1] the hold ("h:ID", also the idempotency key)   KEYS[2] the stock of a location (hash: SKU to units)
--   ARGV[1] SKU   ARGV[2] units   ARGV[3] time to live in ms
-- 1: granted, now or before under the same id; 0: not enough.
-- What it leaves out: units of a hold that expires do not come back (that needs a sweeper beside it).
if redis.call('EXISTS', KEYS[1]) == 1 then
	return 1
end
local units = tonumber(ARGV[2])
local have = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '0')
if have < units then
	return 0
end
redis.call('HINCRBY', KEYS[2], ARGV[1], -units)
redis.call('SET', KEYS[1], ARGV[1] .. ':' .. ARGV[2], 'PX', ARGV[3])
return 1
