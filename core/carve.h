/*
 * carve.h: cuts the caller's one block of memory into tables. Run once with base NULL it only measures, so the size and the
 * layout cannot disagree.
 */
#ifndef HOLDFAST_CORE_CARVE_H
#define HOLDFAST_CORE_CARVE_H

#include "core/base.h"

struct carve {
	uint8_t *base; /* NULL: measure */
	size_t used;
};

/* n records of `size` bytes, aligned to a cache line; all zero. */
static inline void *
carve(struct carve *c, uint64_t n, size_t size)
{
	void *at = c->base ? c->base + c->used : NULL;
	c->used += (n * size + 63) & ~(size_t)63;
	return at;
}

#endif
