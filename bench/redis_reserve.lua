-- Reserve units of one cell in Redis: the work that Holdfast's `reserve` does, as far as a script does it.
--   KEYS[1] the hold ("h:ID", also the idempotency key)   KEYS[2] the cell ("s:LOCATION:SKU", a counter)
--   ARGV[1] units   ARGV[2] time to live in ms
-- 1: granted, now or before under the same id; 0: not enough. A grant is two commands; only a refusal takes them back.
-- What it leaves out: units of a hold that expires do not come back (that needs a sweeper beside it).
if not redis.call('SET', KEYS[1], KEYS[2] .. ' ' .. ARGV[1], 'NX', 'PX', ARGV[2]) then
	return 1
end
if redis.call('DECRBY', KEYS[2], ARGV[1]) < 0 then
	redis.call('INCRBY', KEYS[2], ARGV[1])
	redis.call('DEL', KEYS[1])
	return 0
end
return 1
