/*
 * buffer.c: growing by doubling, from one page up to the bound; memory that cannot be had counts as the bound.
 */
#include "net/buffer.h"

#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST_BYTES 4096

void
buffer_fini(struct buffer *b)
{
	free(b->at);
	*b = (struct buffer){ .limit = b->limit };
}

uint8_t *
buffer_grow(struct buffer *b, size_t n)
{
	if (b->full)
		return NULL;
	size_t limit = b->limit ? b->limit : SIZE_MAX;
	size_t size = b->size ? b->size : BUFFER_FIRST_BYTES;
	if (b->used > limit || n > limit - b->used) {
		b->full = true;
		return NULL;
	}
	while (size < b->used + n)
		size = size > SIZE_MAX / 2 ? b->used + n : size * 2;
	if (size > limit)
		size = limit;
	uint8_t *at = realloc(b->at, size);
	if (!at) {
		b->full = true;
		return NULL;
	}
	b->at = at;
	b->size = size;
	return at + b->used;
}

void
buffer_append(struct buffer *b, const void *bytes, size_t n)
{
	uint8_t *at = n ? buffer_room(b, n) : NULL;
	if (!at)
		return;
	memcpy(at, bytes, n);
	b->used += n;
}

void
buffer_consume(struct buffer *b, size_t n)
{
	if (n >= b->used) {
		b->used = 0;
		return;
	}
	memmove(b->at, b->at + n, b->used - n);
	b->used -= n;
}
