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

/*
 * Where a table puts what clients name. The hashes above are public and easily turned around: whoever may choose names could choose a
 * hundred thousand for one place. These have a secret in front and behind. Of the product with a secret odd number the high half
 * counts: any two that differ before it agree there with a chance of 2^-31, whoever chose them. Nothing that is stored or told may
 * depend on it.
 */
struct hash_seed {
	uint64_t before, odd;
};

static inline struct hash_seed
hash_seed(uint64_t secret)
{
	return (struct hash_seed){ hash_numbers(secret, 1, 0), hash_numbers(secret, 2, 0) | 1 };
}

static inline uint64_t
hash_placed(const struct hash_seed *seed, struct bytes b)
{
	return XXH3_64bits_withSeed(b.at, b.n, seed->before) * seed->odd;
}

/* The same of two dense numbers. */
static inline uint64_t
hash_placed_pair(const struct hash_seed *seed, uint32_t a, uint32_t b)
{
	uint64_t h = ((uint64_t)a << 32 | b) ^ seed->before;
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	return (h ^ h >> 33) * seed->odd;
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
