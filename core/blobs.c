#include "core/blobs.h"

void
blobs_init(struct blobs *blobs, struct carve *c, uint32_t max)
{
	blobs->max = max;
	blobs->at = carve(c, max, sizeof *blobs->at);
}

static uint32_t
block_take(struct blobs *blobs)
{
	uint32_t n = blobs->free;
	if (n) {
		blobs->free = blobs->at[n - 1].next;
	} else {
		ensure(blobs->high < blobs->max);
		n = ++blobs->high;
	}
	blobs->used++;
	return n;
}

uint32_t
blobs_put(struct blobs *blobs, const uint8_t *bytes, size_t n)
{
	uint32_t chain = 0, *link = &chain;
	while (n > 0) {
		size_t part = n < BLOB_BLOCK ? n : BLOB_BLOCK;
		*link = block_take(blobs);
		struct blob_block *block = &blobs->at[*link - 1];
		memcpy(block->bytes, bytes, part);
		block->next = 0;
		link = &block->next;
		bytes += part;
		n -= part;
	}
	return chain;
}

void
blobs_free(struct blobs *blobs, uint32_t chain)
{
	while (chain) {
		struct blob_block *block = &blobs->at[chain - 1];
		uint32_t next = block->next;
		block->next = blobs->free;
		blobs->free = chain;
		blobs->used--;
		chain = next;
	}
}

void
blobs_get(const struct blobs *blobs, uint32_t chain, uint8_t *to, size_t n)
{
	while (n > 0) {
		ensure(chain != 0);
		const struct blob_block *block = &blobs->at[chain - 1];
		size_t part = n < BLOB_BLOCK ? n : BLOB_BLOCK;
		memcpy(to, block->bytes, part);
		to += part;
		n -= part;
		chain = block->next;
	}
}
