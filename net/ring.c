/*
 * ring.c: a ck_ring of descriptors and a circular store for their bytes. The contract is in ring.h.
 *
 * Order: the producer writes bytes and descriptor, then ck_ring publishes the new tail behind a store fence; the consumer loads the
 * tail, then reads. Back: `released` and `records_released` are stored with release by the consumer after its last look at a
 * record, and loaded with acquire by the producer before it writes over the same place. A stale value only makes the ring look
 * fuller than it is.
 *
 * The thread sanitizer cannot see the assembly inside ck_ring. A build under it (RING_SEEN) also counts published records in an
 * atomic that both sides go by, which is the same edge in words that it knows.
 */
#include "net/ring.h"

#include <ck_ring.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define RING_SEEN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RING_SEEN 1
#endif
#endif

struct slot {
	struct ring_record record; /* bytes point into the store, or at `heap` */
	uint64_t end; /* store position behind the record */
	uint64_t heap_end; /* heap bytes put, with this record */
	uint8_t *heap;
};

struct ring {
	ck_ring_t road;
	ck_ring_buffer_t *places; /* RING_RECORDS_MAX pointers into slots */
	struct slot *slots;
	uint8_t *store;
	/* producer's own */
	uint64_t written; /* store position */
	uint64_t heap_put;
	uint64_t records_put;
	/* consumer's own */
	struct slot *lent;
	uint64_t records_got;
	/* consumer -> producer */
	_Atomic uint64_t released, records_released, heap_released;
	/* producer -> consumer, who takes it back */
	_Atomic bool full;
#ifdef RING_SEEN
	_Atomic uint64_t published; /* producer (release, behind the enqueue) -> consumer (acquire, before the dequeue) */
#endif
};

struct ring *
ring_new(void)
{
	struct ring *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	r->places = calloc(RING_RECORDS_MAX, sizeof *r->places);
	r->slots = calloc(RING_RECORDS_MAX, sizeof *r->slots);
	r->store = malloc(RING_STORE_BYTES);
	if (!r->places || !r->slots || !r->store) {
		ring_free(r);
		return NULL;
	}
	ck_ring_init(&r->road, RING_RECORDS_MAX);
	return r;
}

void
ring_free(struct ring *r)
{
	struct ring_record rest;
	while (r->places && r->slots && r->store && ring_get(r, &rest))
		ring_release(r);
	free(r->store);
	free(r->slots);
	free(r->places);
	free(r);
}

static bool
road_put(struct ring *r, struct slot *s)
{
	bool put = ck_ring_enqueue_spsc(&r->road, r->places, s);
#ifdef RING_SEEN
	atomic_store_explicit(&r->published, r->records_put, memory_order_release);
#endif
	return put;
}

static bool
road_get(struct ring *r, struct slot **s)
{
#ifdef RING_SEEN
	if (atomic_load_explicit(&r->published, memory_order_acquire) == r->records_got)
		return false;
#endif
	return ck_ring_dequeue_spsc(&r->road, r->places, s);
}

/* Finds n bytes in a row; false: the consumer still holds that part of the store. */
static bool
store_place(const struct ring *r, size_t n, uint64_t *from)
{
	uint64_t at = r->written, offset = at % RING_STORE_BYTES;
	if (offset + n > RING_STORE_BYTES)
		at += RING_STORE_BYTES - offset;
	*from = at;
	return at + n - atomic_load_explicit(&r->released, memory_order_acquire) <= RING_STORE_BYTES;
}

static bool
try_put(struct ring *r, const struct ring_record *record)
{
	/* One slot less than ck's own bound, so that its enqueue cannot refuse after the bytes were placed. */
	if (r->records_put - atomic_load_explicit(&r->records_released, memory_order_acquire) >= RING_RECORDS_MAX - 1)
		return false;
	struct slot *s = &r->slots[r->records_put % RING_RECORDS_MAX];
	s->record = *record;
	s->heap = NULL;
	s->end = r->written;
	if (record->n > RING_COPY_MAX) {
		uint64_t under_way = r->heap_put - atomic_load_explicit(&r->heap_released, memory_order_acquire);
		s->heap = under_way == 0 || under_way + record->n <= RING_HEAP_MAX ? malloc(record->n) : NULL;
		if (!s->heap)
			return false;
		r->heap_put += record->n;
		s->record.bytes = memcpy(s->heap, record->bytes, record->n);
	} else if (record->n) {
		uint64_t from;
		if (!store_place(r, record->n, &from))
			return false;
		s->record.bytes = memcpy(r->store + from % RING_STORE_BYTES, record->bytes, record->n);
		s->end = r->written = from + record->n;
	}
	s->heap_end = r->heap_put;
	r->records_put++;
	return road_put(r, s);
}

/*
 * The second try closes the gap: either it sees what was released, or the consumer, whose exchange then comes after the store of
 * `full`, sees that.
 */
bool
ring_put(struct ring *r, const struct ring_record *record)
{
	if (try_put(r, record))
		return true;
	atomic_store(&r->full, true);
	return try_put(r, record);
}

bool
ring_was_full(struct ring *r)
{
	return atomic_exchange(&r->full, false);
}

bool
ring_get(struct ring *r, struct ring_record *record)
{
	if (!road_get(r, &r->lent))
		return false;
	*record = r->lent->record;
	return true;
}

void
ring_release(struct ring *r)
{
	free(r->lent->heap);
	uint64_t end = r->lent->end, heap_end = r->lent->heap_end;
	r->lent = NULL;
	atomic_store_explicit(&r->released, end, memory_order_release);
	atomic_store_explicit(&r->heap_released, heap_end, memory_order_release);
	atomic_store_explicit(&r->records_released, ++r->records_got, memory_order_release);
}
