/* test_ring.c: records between two threads: in order, whole, however long, and none lost when the ring is full. */
#include "tests/check.h"

#include "net/ring.h"

#include <pthread.h>
#include <sched.h>

#define RECORDS 20000

/* The length and every byte of record i follow from i, so that a torn or misplaced one shows. */
static size_t
length_of(uint64_t i)
{
	uint64_t h = i * UINT64_C(0x9e3779b97f4a7c15) >> 40;
	return i % 997 == 0 ? RING_COPY_MAX + h % 100000 : h % 700;
}

static void
fill(uint8_t *bytes, uint64_t i, size_t n)
{
	for (size_t k = 0; k < n; k++)
		bytes[k] = (uint8_t)(i * 31 + k);
}

static void *
produce(void *arg)
{
	static uint8_t bytes[RING_COPY_MAX + 100000];
	struct ring *ring = arg;
	for (uint64_t i = 0; i < RECORDS; i++) {
		struct ring_record record = { .kind = RING_FRAME, .token = i, .wait_for = i * 3, .bytes = bytes, .n = length_of(i) };
		fill(bytes, i, record.n);
		while (!ring_put(ring, &record))
			sched_yield();
	}
	return NULL;
}

static void
records_come_out_whole_and_in_order(void)
{
	static uint8_t expected[RING_COPY_MAX + 100000];
	struct ring *ring = ring_new();
	pthread_t producer;
	check(ring && pthread_create(&producer, NULL, produce, ring) == 0);
	for (uint64_t i = 0; i < RECORDS; i++) {
		struct ring_record record;
		while (!ring_get(ring, &record))
			sched_yield();
		fill(expected, i, length_of(i));
		check_equal(record.token, i);
		check_equal(record.wait_for, i * 3);
		check_equal(record.n, length_of(i));
		check(memcmp(record.bytes, expected, record.n) == 0);
		ring_release(ring);
	}
	pthread_join(producer, NULL);
	ring_free(ring);
}

static void
a_full_ring_refuses_and_tells_when_there_is_room_again(void)
{
	struct ring *ring = ring_new();
	struct ring_record record = { .kind = RING_FRAME }, out;
	unsigned n = 0;
	check(ring != NULL);
	while (ring_put(ring, &record))
		n++;
	check_equal(n, RING_RECORDS_MAX - 1);
	check(ring_get(ring, &out));
	check(!ring_put(ring, &record)); /* lent is not free */
	ring_release(ring);
	check(ring_was_full(ring));
	check(!ring_was_full(ring));
	check(ring_put(ring, &record));
	ring_free(ring);
}

static void
a_full_store_refuses_too_and_long_records_need_no_store(void)
{
	static uint8_t bytes[RING_COPY_MAX + 1];
	struct ring *ring = ring_new();
	struct ring_record record = { .kind = RING_FRAME, .bytes = bytes, .n = RING_COPY_MAX }, out;
	unsigned n = 0;
	check(ring != NULL);
	while (ring_put(ring, &record))
		n++;
	check_equal(n, RING_STORE_BYTES / RING_COPY_MAX);
	record.n = RING_COPY_MAX + 1;
	check(ring_put(ring, &record));
	record.n = RING_COPY_MAX;
	check(!ring_put(ring, &record));
	check(ring_get(ring, &out));
	ring_release(ring);
	check(ring_put(ring, &record));
	ring_free(ring);
}

static const struct check tests[] = {
	CHECK(records_come_out_whole_and_in_order),
	CHECK(a_full_ring_refuses_and_tells_when_there_is_room_again),
	CHECK(a_full_store_refuses_too_and_long_records_need_no_store),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
