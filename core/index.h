/*
 * index.h: the hash index that every table shares: fixed capacity, open addressing, linear probing. A slot is
 * tag << 32 | number + 1; 0 is empty. The tag (the high half of the hash) gives the home slot and is compared first, so a
 * probe touches the record only when 32 bits agree, and a removal needs no other record's key.
 *
 * The hash is index_hash() or index_hash_pair(): seeded, so that where something stands cannot be chosen from outside.
 *
 * One writer. Readers on other threads are allowed where the caller never removes: a slot is published with release and read
 * with acquire, so the record behind it was written before (partner: index_put / index_next). A stale empty slot only
 * means "not known yet".
 */
#ifndef HOLDFAST_CORE_INDEX_H
#define HOLDFAST_CORE_INDEX_H

#include <stdatomic.h>

#include "core/base.h"
#include "core/hash.h"

#define INDEX_NONE UINT32_MAX

struct index {
	_Atomic uint64_t *slots;
	uint64_t slots_n; /* 4/3 of the capacity, below 2^32 */
	struct hash_seed seed;
};

static inline uint64_t
index_hash(const struct index *index, struct bytes b)
{
	return hash_placed(&index->seed, b);
}

static inline uint64_t
index_hash_pair(const struct index *index, uint32_t a, uint32_t b)
{
	return hash_placed_pair(&index->seed, a, b);
}

/* Slots needed for `capacity` records. */
static inline uint64_t
index_slots(uint64_t capacity)
{
	return capacity + capacity / 3 + 8;
}

static inline uint64_t
index_home(const struct index *index, uint32_t tag)
{
	return (uint64_t)tag * index->slots_n >> 32;
}

struct index_probe {
	uint64_t at;
	uint32_t tag;
};

static inline struct index_probe
index_first(const struct index *index, uint64_t hash)
{
	uint32_t tag = (uint32_t)(hash >> 32);
	return (struct index_probe){ index_home(index, tag), tag };
}

/* Brings the home slot of a hash nearer, for who fills an index with many at once: as far ahead as a walk to memory takes. */
#define INDEX_AHEAD 16
static inline void
index_ahead(const struct index *index, uint64_t hash)
{
	__builtin_prefetch((const void *)&index->slots[index_home(index, (uint32_t)(hash >> 32))], 1);
}

/* The next candidate's number; INDEX_NONE: there is none. */
static inline uint32_t
index_next(const struct index *index, struct index_probe *probe)
{
	for (;;) {
		uint64_t slot = atomic_load_explicit(&index->slots[probe->at], memory_order_acquire);
		if (slot == 0)
			return INDEX_NONE;
		if (++probe->at == index->slots_n)
			probe->at = 0;
		if ((uint32_t)(slot >> 32) == probe->tag)
			return (uint32_t)slot - 1;
	}
}

/* The first number whose tag agrees, nearly always the one; INDEX_NONE: there is none. */
static inline uint32_t
index_guess(const struct index *index, uint64_t hash)
{
	struct index_probe probe = index_first(index, hash);
	return index_next(index, &probe);
}

static inline void
index_put(struct index *index, uint64_t hash, uint32_t number)
{
	uint32_t tag = (uint32_t)(hash >> 32);
	uint64_t at = index_home(index, tag);
	while (atomic_load_explicit(&index->slots[at], memory_order_relaxed) != 0)
		if (++at == index->slots_n)
			at = 0;
	atomic_store_explicit(&index->slots[at], (uint64_t)tag << 32 | (number + 1), memory_order_release);
}

/* Removes `number` (it must be there) and closes the gap by shifting back. Only where no other thread reads. */
void index_remove(struct index *, uint64_t hash, uint32_t number);

#endif
