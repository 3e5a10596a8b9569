-- Reserve units of one SKU in Tarantool: the work that Holdfast's `reserve` does, as far as a procedure does it. The server's programme:
--   tarantool bench/tarantool_reserve.lua PORT FOLDER        every transaction is synced before it is answered (wal_mode fsync)
-- reserve() gives 1: granted, now or before under the same id; 0: not enough. A procedure runs undisturbed up to its commit, and all
-- that commit while the disk works share the next write.
-- What it leaves out: units of a hold that expires do not come back (that needs an index on the instant and a fiber that looks).
local port, folder = arg[1], arg[2]
box.cfg {
	work_dir = folder, wal_mode = 'fsync', checkpoint_interval = 0, log_level = 2,
	memtx_memory = 6 * 2 ^ 30, wal_max_size = 64 * 2 ^ 30, net_msg_max = 16384, readahead = 2 ^ 20,
}
local stock_space = box.schema.space.create('stock', { format = { { 'sku', 'string' }, { 'units', 'integer' } } })
local hold_space = box.schema.space.create('hold',
	{ format = { { 'id', 'string' }, { 'sku', 'string' }, { 'units', 'integer' }, { 'expires_at', 'number' } } })
stock_space:create_index('primary', { type = 'hash', parts = { 'sku' } })
hold_space:create_index('primary', { type = 'hash', parts = { 'id' } })
local stock_index, hold_index = stock_space.index.primary, hold_space.index.primary
local now, begin, commit = require('fiber').time, box.begin, box.commit

function stock(cells, units)
	begin()
	for i = 0, cells - 1 do
		stock_space:replace { ('S%07d'):format(i), units }
	end
	commit()
	return 1
end

function reserve(id, sku, units, ttl_ms)
	if hold_index:get(id) then
		return 1
	end
	local cell = stock_index:get(sku)
	if not cell or cell.units < units then
		return 0
	end
	begin()
	stock_index:update(sku, { { '-', 2, units } })
	hold_space:insert { id, sku, units, now() + ttl_ms / 1000 }
	commit()
	return 1
end

for _, space in ipairs { 'stock', 'hold' } do
	box.schema.user.grant('guest', 'read,write', 'space', space)
end
for _, name in ipairs { 'stock', 'reserve' } do
	box.schema.func.create(name)
	box.schema.user.grant('guest', 'execute', 'function', name)
end
box.cfg { listen = '127.0.0.1:' .. port } -- now that everything is there
