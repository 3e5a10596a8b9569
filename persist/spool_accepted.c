/* spool_accepted.c: ranges in a small sorted array; sources by an index that is built anew when one gives way to another. */
#include "persist/spool_accepted.h"

#include "persist/spool_format.h"

#include <stdlib.h>

int
accepted_init(struct accepted *a, uint32_t sources_max, uint64_t secret)
{
	*a = (struct accepted){ .max = sources_max, .index_n = 4, .seed = hash_seed(secret) };
	while (a->index_n < 2 * sources_max)
		a->index_n *= 2;
	a->sources = calloc(sources_max, sizeof *a->sources);
	a->index = calloc(a->index_n, sizeof *a->index);
	if (a->sources && a->index)
		return 0;
	accepted_fini(a);
	return -1;
}

void
accepted_fini(struct accepted *a)
{
	free(a->sources);
	free(a->index);
	*a = (struct accepted){ 0 };
}

static struct bytes
name_of(const struct accepted_source *s)
{
	return (struct bytes){ s->name, s->name_n };
}

/* The place of the name in the index, or where it would stand. */
static uint32_t *
index_place(const struct accepted *a, struct bytes name)
{
	uint32_t at = (uint32_t)(hash_placed(&a->seed, name) >> 32) & (a->index_n - 1);
	while (a->index[at] && !bytes_equal(name_of(&a->sources[a->index[at] - 1]), name))
		at = (at + 1) & (a->index_n - 1);
	return &a->index[at];
}

const struct accepted_source *
accepted_find(const struct accepted *a, struct bytes source)
{
	uint32_t place = *index_place(a, source);
	return place ? &a->sources[place - 1] : NULL;
}

/* The source heard of longest ago gives way. */
static uint32_t
oldest_forget(struct accepted *a)
{
	uint32_t oldest = 0;
	for (uint32_t i = 1; i < a->n; i++)
		if (a->sources[i].heard < a->sources[oldest].heard)
			oldest = i;
	memset(a->index, 0, a->index_n * sizeof *a->index);
	for (uint32_t i = 0; i < a->n; i++)
		if (i != oldest)
			*index_place(a, name_of(&a->sources[i])) = i + 1;
	return oldest;
}

static struct accepted_source *
source_get(struct accepted *a, struct bytes name)
{
	ensure(name.n > 0 && name.n <= PLACE_BYTES_MAX);
	if (a->latest < a->n && bytes_equal(name_of(&a->sources[a->latest]), name))
		return &a->sources[a->latest];
	uint32_t *place = index_place(a, name);
	if (*place == 0) {
		uint32_t at = a->n < a->max ? a->n++ : oldest_forget(a);
		struct accepted_source *s = &a->sources[at];
		*s = (struct accepted_source){ .name_n = (uint8_t)name.n, .last_at = -1 };
		memcpy(s->name, name.at, name.n);
		place = index_place(a, name);
		*place = at + 1;
	}
	a->latest = *place - 1;
	return &a->sources[a->latest];
}

static void
range_remove(struct accepted_source *s, uint32_t at)
{
	s->ranges_n--;
	memmove(&s->ranges[at], &s->ranges[at + 1], (s->ranges_n - at) * sizeof s->ranges[0]);
}

/* A1: the shortest, so that the least is asked for again. */
static void
shortest_forget(struct accepted_source *s)
{
	uint32_t shortest = 0;
	for (uint32_t i = 1; i < s->ranges_n; i++)
		if (s->ranges[i].to - s->ranges[i].from < s->ranges[shortest].to - s->ranges[shortest].from)
			shortest = i;
	range_remove(s, shortest);
}

static void
ranges_add(struct accepted_source *s, uint64_t from, uint64_t to)
{
	uint32_t at = s->ranges_n;
	while (at > 0 && s->ranges[at - 1].to + 1 >= from)
		at--;
	/* ranges[at] is the first one that ends at from - 1 or later: it and what follows may touch or overlap. */
	while (at < s->ranges_n && s->ranges[at].from <= to + 1) {
		from = s->ranges[at].from < from ? s->ranges[at].from : from;
		to = s->ranges[at].to > to ? s->ranges[at].to : to;
		range_remove(s, at);
	}
	if (s->ranges_n == ACCEPTED_RANGES_MAX) {
		shortest_forget(s);
		for (at = 0; at < s->ranges_n && s->ranges[at].from < from;)
			at++;
	}
	memmove(&s->ranges[at + 1], &s->ranges[at], (s->ranges_n - at) * sizeof s->ranges[0]);
	s->ranges[at] = (struct accepted_range){ from, to };
	s->ranges_n++;
}

void
accepted_add(struct accepted *a, struct bytes source, uint64_t from, uint64_t to, int64_t last_at)
{
	struct accepted_source *s = source_get(a, source);
	s->heard = ++a->heard;
	s->last_at = last_at > s->last_at ? last_at : s->last_at;
	if (s->ranges_n && s->ranges[s->ranges_n - 1].to + 1 == from) /* the next number: what comes nearly always */
		s->ranges[s->ranges_n - 1].to = to;
	else
		ranges_add(s, from, to);
}

size_t
accepted_bytes_max(const struct accepted *a)
{
	return (size_t)a->max * ACCEPTED_SOURCE_BYTES_MAX;
}

static uint8_t *
source_encode(const struct accepted_source *s, uint8_t *at)
{
	*at++ = s->name_n;
	memcpy(at, s->name, s->name_n);
	at += s->name_n;
	spool_put(at, (uint64_t)s->last_at, 8);
	at[8] = s->ranges_n;
	at += 9;
	for (uint32_t i = 0; i < s->ranges_n; i++, at += 16) {
		spool_put(at, s->ranges[i].from, 8);
		spool_put(at + 8, s->ranges[i].to, 8);
	}
	return at;
}

static int
by_heard(const void *a, const void *b)
{
	const struct accepted_source *const *l = a, *const *r = b;
	return ((*l)->heard > (*r)->heard) - ((*l)->heard < (*r)->heard);
}

/* In the order they were heard of, so that the order survives. Without memory for sorting: in any order. */
size_t
accepted_encode(const struct accepted *a, uint8_t *to)
{
	const struct accepted_source **order = a->n ? malloc(a->n * sizeof *order) : NULL;
	uint8_t *at = to;
	for (uint32_t i = 0; order && i < a->n; i++)
		order[i] = &a->sources[i];
	if (order)
		qsort(order, a->n, sizeof *order, by_heard);
	for (uint32_t i = 0; i < a->n; i++)
		at = source_encode(order ? order[i] : &a->sources[i], at);
	free(order);
	return (size_t)(at - to);
}

bool
accepted_decode(struct accepted *a, const uint8_t *at, size_t n)
{
	const uint8_t *end = at + n;
	while (at < end) {
		uint32_t name_n = *at++;
		if (name_n == 0 || name_n > PLACE_BYTES_MAX || (size_t)(end - at) < name_n + 9u)
			return false;
		struct bytes name = { at, name_n };
		int64_t last_at = (int64_t)spool_get(at + name_n, 8);
		uint32_t ranges_n = at[name_n + 8];
		at += name_n + 9;
		if (ranges_n > ACCEPTED_RANGES_MAX || (size_t)(end - at) < 16u * ranges_n)
			return false;
		for (uint32_t i = 0; i < ranges_n; i++, at += 16) {
			uint64_t from = spool_get(at, 8), to = spool_get(at + 8, 8);
			if (from == 0 || from > to || to > SEQ_MAX)
				return false;
			accepted_add(a, name, from, to, last_at);
		}
	}
	return true;
}
