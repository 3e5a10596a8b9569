/*
 * fold.c: see fold.h. Keys are dense numbers under a kind in the top byte, and what is new comes in order: so eight neighbours share
 * a line of the index, and lines are chosen by a multiplication. At most half of the index is used: a probe is one cache line nearly
 * always.
 *
 * The arrays are tens of megabytes that are walked at random. They stand on large pages, and the index is written before it is read: a page
 * of zeroes that is read first and written later costs two faults and interrupts every other thread of the process.
 */
#define _GNU_SOURCE
#include "persist/fold.h"

#include <stdlib.h>
#include <sys/mman.h>

#define LARGE_PAGE ((size_t)2 << 20)
#define FOLD_RECORDS_FIRST 4096
#define FOLD_BYTES_FIRST   ((uint64_t)1 << 18)
/* Bodies start on 8 bytes and have room up to the next 8, so that an after-image that grows by a few bytes stays in place. */
#define FOLD_ALIGN         8

struct record {
	uint64_t key, seq, at; /* `at`: offset in the arena */
	uint32_t body_n, room;
};

/* Half of the key's hash stands beside the number, so that a probe that misses touches no record. */
struct place {
	uint32_t number; /* of the record, plus 1; 0: free */
	uint32_t tag;
};
#define PLACES_LINE 8 /* of 64 bytes */

struct order {
	uint64_t key;
	uint32_t number;
};

struct fold {
	struct place *places; /* 1 << places_log2, at least twice records_max */
	struct record *records;
	uint8_t *arena;
	struct order *order, *order_spare;
	uint32_t places_log2, records_n, records_max, order_max;
	uint64_t arena_used, arena_size;
};

/* Memory that is not small, on large pages; free() gives it back. */
static void *
array_new(size_t bytes)
{
	void *at;
	if (bytes < LARGE_PAGE)
		return malloc(bytes);
	if (posix_memalign(&at, LARGE_PAGE, bytes) != 0)
		return NULL;
	madvise(at, bytes, MADV_HUGEPAGE); /* a hint; small pages do as well */
	return at;
}

/* The array with its first `used` bytes in a longer one. NULL: it is as it was. */
static void *
array_longer(void *old, size_t used, size_t bytes)
{
	void *at = array_new(bytes);
	if (at == NULL)
		return NULL;
	memcpy(at, old, used);
	free(old);
	return at;
}

static struct place *
places_new(uint32_t log2)
{
	size_t bytes = sizeof(struct place) << log2;
	struct place *places = array_new(bytes);
	if (places != NULL)
		memset(places, 0, bytes);
	return places;
}

/* The eight keys of one line differ in their order within it from line to line: keys that are all multiples of eight spread, too. */
static uint64_t
hash(uint64_t key)
{
	return (key / PLACES_LINE) * UINT64_C(0x9e3779b97f4a7c15) ^ key % PLACES_LINE;
}

/* The same place of the next line; behind the last line the next place of the first: all places, one after the other. */
static uint64_t
place_next(uint64_t i, uint64_t mask)
{
	return i + PLACES_LINE <= mask ? i + PLACES_LINE : (i + 1) % PLACES_LINE;
}

static struct place *
find(const struct fold *f, uint64_t key)
{
	uint64_t mask = (UINT64_C(1) << f->places_log2) - 1, h = hash(key);
	uint64_t i = (h >> (64 - f->places_log2) & ~(uint64_t)(PLACES_LINE - 1)) | (h & (PLACES_LINE - 1));
	uint32_t tag = (uint32_t)h;
	while (f->places[i].number != 0 && (f->places[i].tag != tag || f->records[f->places[i].number - 1].key != key))
		i = place_next(i, mask);
	return &f->places[i];
}

struct fold *
fold_new(void)
{
	struct fold *f = calloc(1, sizeof(*f));
	if (f == NULL)
		return NULL;
	f->records_max = FOLD_RECORDS_FIRST;
	f->arena_size = FOLD_BYTES_FIRST;
	for (f->places_log2 = 1; UINT64_C(1) << f->places_log2 < 2 * (uint64_t)f->records_max;)
		f->places_log2++;
	f->places = places_new(f->places_log2);
	f->records = malloc(f->records_max * sizeof(*f->records));
	f->arena = malloc(f->arena_size);
	if (f->places == NULL || f->records == NULL || f->arena == NULL) {
		fold_free(f);
		return NULL;
	}
	return f;
}

void
fold_free(struct fold *f)
{
	if (f == NULL)
		return;
	free(f->places);
	free(f->records);
	free(f->arena);
	free(f->order);
	free(f->order_spare);
	free(f);
}

/* Twice the records, and an index for them. The old one stands until the new one is complete. */
static int
grow_records(struct fold *f)
{
	if (f->records_max > UINT32_MAX / 4)
		return -1;
	struct place *places = places_new(f->places_log2 + 1);
	struct record *records = NULL;
	if (places != NULL)
		records = array_longer(f->records, f->records_n * sizeof(*records), (size_t)f->records_max * 2 * sizeof(*records));
	if (records == NULL) {
		free(places);
		return -1;
	}
	f->records = records;
	free(f->places);
	f->places = places;
	f->places_log2++;
	f->records_max *= 2;
	for (uint32_t i = 0; i < f->records_n; i++)
		*find(f, f->records[i].key) = (struct place){ i + 1, (uint32_t)hash(f->records[i].key) };
	return 0;
}

static int
grow_arena(struct fold *f, uint32_t room)
{
	uint64_t size = f->arena_size;
	while (size - f->arena_used < room)
		size *= 2;
	uint8_t *arena = array_longer(f->arena, f->arena_used, size);
	if (arena == NULL)
		return -1;
	f->arena = arena;
	f->arena_size = size;
	return 0;
}

/* Gives `r` a place of at least n bytes. */
static int
make_room(struct fold *f, struct record *r, uint32_t n)
{
	if (n > UINT32_MAX - FOLD_ALIGN)
		return -1;
	uint32_t room = (n + FOLD_ALIGN - 1) & ~(uint32_t)(FOLD_ALIGN - 1);
	if (f->arena_size - f->arena_used < room && grow_arena(f, room) < 0)
		return -1;
	r->at = f->arena_used;
	r->room = room;
	f->arena_used += room;
	return 0;
}

int
fold_put(struct fold *f, uint64_t key, uint64_t seq, const uint8_t *body, uint32_t body_n)
{
	struct place *p = find(f, key);
	struct record *r;
	if (p->number == 0) {
		if (f->records_n == f->records_max) {
			if (grow_records(f) < 0)
				return -1;
			p = find(f, key);
		}
		r = &f->records[f->records_n];
		*r = (struct record){ .key = key };
		if (make_room(f, r, body_n) < 0)
			return -1;
		*p = (struct place){ ++f->records_n, (uint32_t)hash(key) };
	} else {
		r = &f->records[p->number - 1];
		if (r->room < body_n && make_room(f, r, body_n) < 0)
			return -1;
	}
	r->seq = seq;
	r->body_n = body_n;
	if (body_n > 0)
		memcpy(f->arena + r->at, body, body_n);
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

/* One pass of a radix sort by the byte at `shift`; false: all keys share that byte, nothing was moved. */
static bool
sort_pass(const struct order *from, struct order *to, uint32_t n, unsigned shift)
{
	uint32_t count[256] = { 0 }, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		count[from[i].key >> shift & 255]++;
	if (count[from[0].key >> shift & 255] == n)
		return false;
	for (int b = 0; b < 256; b++) {
		uint32_t here = count[b];
		count[b] = sum;
		sum += here;
	}
	for (uint32_t i = 0; i < n; i++)
		to[count[from[i].key >> shift & 255]++] = from[i];
	return true;
}

int
fold_sort(struct fold *f)
{
	if (f->order_max < f->records_n) {
		free(f->order);
		free(f->order_spare);
		f->order = array_new(f->records_max * sizeof(*f->order));
		f->order_spare = array_new(f->records_max * sizeof(*f->order_spare));
		f->order_max = f->order != NULL && f->order_spare != NULL ? f->records_max : 0;
		if (f->order_max == 0)
			return -1;
	}
	for (uint32_t i = 0; i < f->records_n; i++)
		f->order[i] = (struct order){ f->records[i].key, i };
	for (unsigned shift = 0; shift < 64 && f->records_n > 1; shift += 8) {
		if (sort_pass(f->order, f->order_spare, f->records_n, shift)) {
			struct order *swap = f->order;
			f->order = f->order_spare;
			f->order_spare = swap;
		}
	}
	return 0;
}

void
fold_at(const struct fold *f, uint64_t index, struct fold_item *item)
{
	ensure(index < f->records_n);
	const struct record *r = &f->records[f->order[index].number];
	*item = (struct fold_item){ r->key, r->seq, f->arena + r->at, r->body_n };
}

void
fold_clear(struct fold *f)
{
	memset(f->places, 0, ((size_t)1 << f->places_log2) * sizeof(*f->places));
	f->records_n = 0;
	f->arena_used = 0;
}
