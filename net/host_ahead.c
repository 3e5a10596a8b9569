/* host_ahead.c: the contract is in host_ahead.h. */
#define _GNU_SOURCE
#include "net/host_ahead.h"
#include "core/view.h"
#include "net/clock.h"
#include "net/thread.h"

#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* At once when the spare has been taken, since the next one is needed in less than a second when things are busy. */
static void
journal_ahead(struct host_ahead *a)
{
	struct journal_status status;
	struct why why;
	int64_t now = clock_steady_ms();
	journal_status(a->log, &status);
	if ((status.spares > 1 || a->prepare_failed || a->generation == status.generation) && now - a->prepared_ms < PREPARE_MS)
		return;
	a->prepared_ms = now;
	a->generation = status.generation;
	a->prepare_failed = a->log->calls->prepare(a->log, &why) < 0;
	bool low = journal_free_low(a->log);
	atomic_store_explicit(&a->journal_low, low, memory_order_relaxed);
	trouble_journal(&a->trouble, low, a->log->calls->bytes(a->log), a->prepare_failed ? &why : NULL);
}

/*
 * Piece by piece: the kernel keeps the process's list of mappings while it makes pages, and a malloc() of the engine's thread that wants
 * more would stand behind all of them (40 ms were seen). Failures change nothing.
 */
static void
pages_give(const struct host_ahead *a, const struct view_range *range)
{
	uintptr_t begin = (uintptr_t)range->at & ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1), end = (uintptr_t)range->at + range->bytes;
	if (range->bytes == 0)
		return;
	for (uintptr_t piece; begin < end && !atomic_load_explicit(&a->stop, memory_order_relaxed); begin = piece) {
		piece = (begin / POPULATE_BYTES + 1) * POPULATE_BYTES;
		piece = piece < end ? piece : end;
		madvise((void *)begin, piece - begin, MADV_POPULATE_WRITE);
	}
}

static void
places_give(const struct host_ahead *a, enum view_pool pool, uint32_t from, uint32_t to)
{
	struct view_range ranges[VIEW_RANGES];
	view_pool_memory(a->engine, pool, from, to, ranges);
	for (int i = 0; i < VIEW_RANGES; i++)
		pages_give(a, &ranges[i]);
}

/*
 * A large page of an index costs milliseconds where the host must find the memory, and the first hundred SKUs or reservations, which stand
 * anywhere, touch them all, one by one, on the engine's thread.
 */
static void
indexes_ahead(struct host_ahead *a)
{
	struct view_range ranges[VIEW_INDEXES];
	if (a->indexes_mapped || !view_indexes_memory(a->engine, ranges))
		return;
	for (int i = VIEW_INDEXES - 1; i >= 0; i--) /* the reservations', which come next, first */
		for (size_t at = 0; at < ranges[i].bytes && ranges[i].bytes <= INDEX_BYTES_MAX; at += INDEX_STEP_BYTES) {
			size_t left = ranges[i].bytes - at;
			pages_give(a, &(struct view_range){ (uint8_t *)ranges[i].at + at, left < INDEX_STEP_BYTES ? left : INDEX_STEP_BYTES });
			journal_ahead(a);
		}
	a->indexes_mapped = true;
}

/*
 * Gives pages to the places of a pool that are about to be used, as many as twice the largest recent growth between two looks: the first
 * touch of a page costs as much as deciding twenty reservations, and this thread has the time.
 */
static void
memory_ahead(struct host_ahead *a, enum view_pool pool)
{
	uint32_t most, used = view_used(a->engine, pool, &most), grew = used - a->pools[pool].seen, faded;
	faded = a->pools[pool].growth - a->pools[pool].growth / 8;
	a->pools[pool].seen = used;
	a->pools[pool].growth = grew > faded ? grew : faded;
	uint64_t ahead = a->pools[pool].growth < PLACES_AHEAD_MAX / 2 ? 2 * (uint64_t)a->pools[pool].growth : PLACES_AHEAD_MAX;
	uint32_t to = used + ahead < most ? (uint32_t)(used + ahead) : most, from = a->pools[pool].mapped > used ? a->pools[pool].mapped : used;
	if (to <= from)
		return;
	places_give(a, pool, from, to);
	a->pools[pool].mapped = to;
}

/*
 * Memory that is at hand before anybody asks: where a virtual machine gives what is free back to its host, a page that a new server touches
 * for the first time costs thirty times as much as another.
 */
static void
memory_ready(struct host_ahead *a)
{
	struct view_range ranges[VIEW_TABLES];
	for (enum view_pool pool = 0; pool < VIEW_POOLS; pool++) {
		uint32_t most, used = view_used(a->engine, pool, &most), to = a->ready[pool] < most ? a->ready[pool] : most;
		a->pools[pool].seen = used; /* what recovery brought is no growth */
		a->pools[pool].mapped = to;
		if (to > used)
			places_give(a, pool, used, to);
	}
	if (a->ready[VIEW_SLOTS] == 0)
		return;
	view_tables_memory(a->engine, 0, a->ready[VIEW_SLOTS], ranges);
	for (int i = 0; i < VIEW_TABLES; i++)
		pages_give(a, &ranges[i]);
}

/* False: the end. */
static bool
rest(struct host_ahead *a)
{
	int64_t until_ns = clock_steady_ns() + AHEAD_MS * INT64_C(1000000);
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	pthread_mutex_lock(&a->lock);
	if (!atomic_load_explicit(&a->stop, memory_order_relaxed))
		pthread_cond_timedwait(&a->wake, &a->lock, &until);
	bool on = !atomic_load_explicit(&a->stop, memory_order_relaxed);
	pthread_mutex_unlock(&a->lock);
	return on;
}

static void *
ahead_main(void *arg)
{
	struct host_ahead *a = arg;
	do {
		journal_ahead(a);
		indexes_ahead(a);
		for (enum view_pool pool = 0; pool < VIEW_POOLS; pool++)
			memory_ahead(a, pool);
	} while (rest(a));
	return NULL;
}

int
host_ahead_start(struct host_ahead *a, struct why *why)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	memory_ready(a);
	a->prepared_ms = clock_steady_ms() - PREPARE_MS;
	int failure = thread_start(&a->thread, "ahead", ahead_main, a);
	a->running = failure == 0;
	if (a->running)
		return 0;
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	snprintf(why->text, sizeof why->text, "the thread that makes room ahead did not start: %s", strerror(failure));
	return -1;
}

void
host_ahead_stop(struct host_ahead *a)
{
	if (!a->running)
		return;
	pthread_mutex_lock(&a->lock);
	atomic_store_explicit(&a->stop, true, memory_order_relaxed);
	pthread_cond_signal(&a->wake);
	pthread_mutex_unlock(&a->lock);
	pthread_join(a->thread, NULL);
	pthread_cond_destroy(&a->wake);
	pthread_mutex_destroy(&a->lock);
	a->running = false;
}
