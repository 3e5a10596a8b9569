#include "core/index.h"

static uint64_t
slot_get(const struct index *index, uint64_t at)
{
	return atomic_load_explicit(&index->slots[at], memory_order_relaxed);
}

static void
slot_set(struct index *index, uint64_t at, uint64_t slot)
{
	atomic_store_explicit(&index->slots[at], slot, memory_order_relaxed);
}

static uint64_t
after(const struct index *index, uint64_t at)
{
	return at + 1 == index->slots_n ? 0 : at + 1;
}

void
index_remove(struct index *index, uint64_t hash, uint32_t number)
{
	uint32_t tag = (uint32_t)(hash >> 32);
	uint64_t wanted = (uint64_t)tag << 32 | (number + 1), hole = index_home(index, tag);
	while (slot_get(index, hole) != wanted) {
		ensure(slot_get(index, hole) != 0);
		hole = after(index, hole);
	}
	for (uint64_t at = after(index, hole);; at = after(index, at)) {
		uint64_t slot = slot_get(index, at);
		if (slot == 0)
			break;
		/* A slot may move into the hole unless its home lies behind the hole, up to itself. */
		uint64_t home = index_home(index, (uint32_t)(slot >> 32));
		bool stays = hole < at ? home > hole && home <= at : home > hole || home <= at;
		if (stays)
			continue;
		slot_set(index, hole, slot);
		hole = at;
	}
	slot_set(index, hole, 0);
}
