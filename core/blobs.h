/*
 * blobs.h: short strings that few records have (long ids, owners, refs with their results, count ids), in chains of 64-byte
 * blocks, so that a plain record stays small. Block numbers are never journaled: evolve gives them out again at replay.
 * The engine's thread only.
 */
#ifndef HOLDFAST_CORE_BLOBS_H
#define HOLDFAST_CORE_BLOBS_H

#include "core/base.h"
#include "core/carve.h"

#define BLOB_BLOCK 60

struct blob_block {
	uint32_t next; /* number + 1 */
	uint8_t bytes[BLOB_BLOCK];
};

struct blobs {
	struct blob_block *at;
	uint32_t max, used, high; /* high: blocks ever used */
	uint32_t free; /* list */
};

void blobs_init(struct blobs *, struct carve *, uint32_t max);
static inline uint32_t
blobs_needed(size_t n)
{
	return (uint32_t)((n + BLOB_BLOCK - 1) / BLOB_BLOCK);
}
static inline bool
blobs_room(const struct blobs *blobs, uint32_t blocks)
{
	return blobs->max - blobs->used >= blocks;
}
/* Keeps n bytes; the chain's number + 1, 0 for n = 0. The caller knows that there is room. */
uint32_t blobs_put(struct blobs *, const uint8_t *, size_t n);
void blobs_free(struct blobs *, uint32_t chain);
/* Copies the first n bytes of a chain. */
void blobs_get(const struct blobs *, uint32_t chain, uint8_t *to, size_t n);

#endif
