/*
 * buffer.h: a growing byte buffer with a bound. Appending past `limit` sets `full` and drops the bytes: callers check once at
 * the end instead of at each put. Not shared between threads.
 */
#ifndef HOLDFAST_NET_BUFFER_H
#define HOLDFAST_NET_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
	uint8_t *at;
	size_t used, size, limit; /* limit 0: SIZE_MAX */
	bool full;
};

void buffer_fini(struct buffer *);
/* What buffer_room() does when it must grow. */
uint8_t *buffer_grow(struct buffer *, size_t n);
/* Room for n more bytes; NULL when the limit would be passed (then full is set). */
static inline uint8_t *
buffer_room(struct buffer *b, size_t n)
{
	return !b->full && b->at && n <= b->size - b->used ? b->at + b->used : buffer_grow(b, n);
}
void buffer_append(struct buffer *, const void *, size_t n);
/* Drops the first n bytes. */
void buffer_consume(struct buffer *, size_t n);

#endif
