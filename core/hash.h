/* hash.h: the one place where core meets xxHash (XXH3, in place: nothing is linked, nothing allocates). */
#ifndef HOLDFAST_CORE_HASH_H
#define HOLDFAST_CORE_HASH_H

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/base.h"

static inline uint64_t
hash_bytes(struct bytes b)
{
	return XXH3_64bits(b.at, b.n);
}

/* Bytes behind what was hashed before, which is well mixed. */
static inline uint64_t
hash_bytes_from(uint64_t before, struct bytes b)
{
	return XXH3_64bits_withSeed(b.at, b.n, before);
}

/*
 * Two numbers behind anything, all three as data: XXH3 adds a seed to what it XORs with the input, so that seeds 0 and 1 with small numbers
 * gave the same hash.
 */
static inline uint64_t
hash_numbers(uint64_t before, uint64_t a, uint64_t b)
{
	const uint64_t all[] = { before, a, b };
	return XXH3_64bits(all, sizeof all);
}

/* Two dense numbers into 64 well-mixed bits (the finalizer of MurmurHash3, public domain). */
static inline uint64_t
hash_pair(uint32_t a, uint32_t b)
{
	uint64_t h = (uint64_t)a << 32 | b;
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

#endif
