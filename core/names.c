#include "core/names.h"

#include "core/hash.h"

void
names_init(struct names *names, struct carve *c, uint32_t max, uint32_t bytes_max)
{
	names->max = max;
	names->index.slots_n = index_slots(max);
	names->index.slots = carve(c, names->index.slots_n, sizeof *names->index.slots);
	names->offset = carve(c, max, sizeof *names->offset);
	names->arena = carve(c, max, bytes_max + 1);
}

struct bytes
names_get(const struct names *names, uint32_t id)
{
	const uint8_t *at = names->arena + names->offset[id];
	return (struct bytes){ at + 1, *at };
}

uint32_t
names_find(const struct names *names, struct bytes name)
{
	struct index_probe probe = index_first(&names->index, hash_bytes(name));
	for (;;) {
		uint32_t id = index_next(&names->index, &probe);
		if (id == INDEX_NONE || bytes_equal(names_get(names, id), name))
			return id;
	}
}

uint32_t
names_count(const struct names *names)
{
	return atomic_load_explicit(&names->count, memory_order_acquire);
}

uint32_t
names_add(struct names *names, struct bytes name)
{
	uint32_t id = names_count(names);
	ensure(id < names->max && name.n <= NAME_BYTES_MAX);
	uint8_t *at = names->arena + names->arena_used;
	*at = (uint8_t)name.n;
	memcpy(at + 1, name.at, name.n);
	names->offset[id] = names->arena_used;
	names->arena_used += 1 + name.n;
	index_put(&names->index, hash_bytes(name), id);
	atomic_store_explicit(&names->count, id + 1, memory_order_release);
	return id;
}
