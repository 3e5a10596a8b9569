/*
 * fold.c: see fold.h. The arena is tens of megabytes: realloc() moves mappings of such a length instead of copying them, so that each
 * page is touched for the first time once only, and not again at each doubling.
 */
#include "persist/fold.h"

#include <stdlib.h>

#define ARENA_BYTES_FIRST ((uint64_t)1 << 18)
/* Records start on 8 bytes, and numbers count those. Bodies have room up to the next 8, so that one that grows by a few bytes stays in place. */
#define ARENA_ALIGN       8

struct record { /* its body behind it */
	uint64_t seq;
	uint32_t body_n, room;
};

struct fold {
	struct fold_index index; /* numbers: the record's place in the arena / ARENA_ALIGN + 1 */
	uint8_t *arena;
	uint64_t records_n, arena_used, arena_size;
};

struct fold *
fold_new(void)
{
	struct fold *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	f->arena_size = ARENA_BYTES_FIRST;
	f->arena = malloc(f->arena_size);
	if (f->arena == NULL) {
		free(f);
		return NULL;
	}
	return f;
}

void
fold_free(struct fold *f)
{
	if (f == NULL)
		return;
	fold_index_fini(&f->index);
	free(f->arena);
	free(f);
}

static struct record *
record_at(const struct fold *f, uint32_t number)
{
	return (void *)(f->arena + (uint64_t)(number - 1) * ARENA_ALIGN);
}

static bool
arena_grow(struct fold *f, uint64_t bytes)
{
	uint64_t size = f->arena_size;
	while (size - f->arena_used < bytes)
		size *= 2;
	if (size / ARENA_ALIGN >= UINT32_MAX)
		return false;
	uint8_t *arena = realloc(f->arena, size);
	if (arena == NULL)
		return false;
	f->arena = arena;
	f->arena_size = size;
	return true;
}

/* A new record for a body of n bytes: its number. 0: no memory. */
static uint32_t
record_new(struct fold *f, uint32_t n)
{
	uint64_t room = ((uint64_t)n + ARENA_ALIGN - 1) & ~(uint64_t)(ARENA_ALIGN - 1), bytes = sizeof(struct record) + room;
	if (room > UINT32_MAX || (f->arena_size - f->arena_used < bytes && !arena_grow(f, bytes)))
		return 0;
	uint32_t number = (uint32_t)(f->arena_used / ARENA_ALIGN) + 1;
	record_at(f, number)->room = (uint32_t)room;
	f->arena_used += bytes;
	return number;
}

int
fold_put(struct fold *f, uint64_t key, uint64_t seq, const uint8_t *body, uint32_t body_n)
{
	uint32_t *place = fold_index_at(&f->index, key);
	if (place == NULL)
		return -1;
	if (*place == 0 || record_at(f, *place)->room < body_n) {
		uint32_t number = record_new(f, body_n);
		if (number == 0)
			return -1;
		f->records_n += *place == 0;
		*place = number;
	}
	struct record *r = record_at(f, *place);
	r->seq = seq;
	r->body_n = body_n;
	if (body_n > 0)
		memcpy(r + 1, body, body_n);
	return 0;
}

uint64_t
fold_records(const struct fold *f)
{
	return f->records_n;
}

uint64_t
fold_bytes(const struct fold *f)
{
	return f->arena_used;
}

int
fold_sort(struct fold *f)
{
	return fold_index_sort(&f->index);
}

bool
fold_next(const struct fold *f, struct fold_walk *walk, struct fold_item *item)
{
	uint64_t key;
	uint32_t number;
	if (!fold_index_next(&f->index, walk, &key, &number))
		return false;
	const struct record *r = record_at(f, number);
	*item = (struct fold_item){ key, r->seq, (const uint8_t *)(r + 1), r->body_n };
	return true;
}

void
fold_clear(struct fold *f)
{
	fold_index_clear(&f->index);
	f->records_n = 0;
	f->arena_used = 0;
}
