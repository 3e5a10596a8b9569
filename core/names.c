#include "core/names.h"

void
names_init(struct names *names, struct carve *c, uint32_t max, uint32_t bytes_max)
{
	names->max = max;
	names->index.slots_n = index_slots(max);
	names->index.slots = carve(c, names->index.slots_n, sizeof *names->index.slots);
	names->place = carve(c, max, sizeof *names->place);
	names->arena = carve(c, max, (offsetof(struct name, at) + bytes_max + NAME_UNIT - 1) / NAME_UNIT * NAME_UNIT);
}

struct bytes
names_get(const struct names *names, uint32_t id)
{
	return name_bytes(names_at(names, names->place[id]));
}

const struct name *
names_look(const struct names *names, struct bytes wanted)
{
	struct index_probe probe = index_first(&names->index, index_hash(&names->index, wanted));
	for (uint32_t place; (place = index_next(&names->index, &probe)) != INDEX_NONE;)
		if (bytes_equal(name_bytes(names_at(names, place)), wanted))
			return names_at(names, place);
	return NULL;
}

uint32_t
names_find(const struct names *names, struct bytes wanted)
{
	const struct name *name = names_look(names, wanted);
	return name ? name->id : NAME_NONE;
}

uint32_t
names_count(const struct names *names)
{
	return atomic_load_explicit(&names->count, memory_order_acquire);
}

uint32_t
names_add(struct names *names, struct bytes bytes)
{
	uint32_t id = names_count(names);
	ensure(id < names->max && bytes.n <= NAME_BYTES_MAX);
	struct name *name = (struct name *)names_at(names, names->used);
	name->id = id;
	name->n = (uint8_t)bytes.n;
	memcpy(name->at, bytes.at, bytes.n);
	names->place[id] = names->used;
	index_put(&names->index, index_hash(&names->index, bytes), names->used);
	names->used += (uint32_t)(offsetof(struct name, at) + bytes.n + NAME_UNIT - 1) / NAME_UNIT;
	atomic_store_explicit(&names->count, id + 1, memory_order_release);
	return id;
}

void
names_cell(struct names *names, uint32_t sku, uint32_t location, uint32_t cell)
{
	struct name *name = (struct name *)names_at(names, names->place[sku]);
	if (atomic_load_explicit(&name->first_cell, memory_order_relaxed) != 0)
		return;
	name->first_place = (uint16_t)location;
	atomic_store_explicit(&name->first_cell, cell + 1, memory_order_release);
}
