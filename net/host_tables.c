/* host_tables.c: see host_tables.h. In pieces, so that the end of loading is never waited for long. */
#define _GNU_SOURCE
#include "net/host_tables.h"
#include "core/view.h"
#include "net/thread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define PIECE_BYTES  ((size_t)16 << 20)
#define RECORDS_LEAST 100000 /* below, loading is over before a thread is worth it */

struct host_tables {
	struct view_range ranges[VIEW_TABLES];
	pthread_t thread;
	_Atomic bool stop; /* the loading thread -> this one; seen late, it is a piece late */
};

static void *
tables_main(void *arg)
{
	struct host_tables *t = arg;
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	for (int i = 0; i < VIEW_TABLES; i++) {
		uintptr_t at = (uintptr_t)t->ranges[i].at & ~(page - 1), end = (uintptr_t)t->ranges[i].at + t->ranges[i].bytes;
		for (; at < end && !atomic_load_explicit(&t->stop, memory_order_relaxed); at += PIECE_BYTES)
			madvise((void *)at, end - at < PIECE_BYTES ? end - at : PIECE_BYTES, MADV_POPULATE_WRITE);
	}
	return NULL;
}

struct host_tables *
host_tables_begin(const struct engine *engine, const struct image_findings *found)
{
	uint64_t cells = found->records_of_kind[ENTRY_CELL], reservations = found->records_of_kind[ENTRY_RESERVATION];
	struct host_tables *t = cells + reservations < RECORDS_LEAST ? NULL : calloc(1, sizeof *t);
	if (!t)
		return NULL;
	view_tables_memory(engine, cells, reservations, t->ranges);
	if (thread_start(&t->thread, "tables", tables_main, t) == 0)
		return t;
	free(t);
	return NULL;
}

void
host_tables_end(struct host_tables *t)
{
	if (!t)
		return;
	atomic_store_explicit(&t->stop, true, memory_order_relaxed);
	pthread_join(t->thread, NULL);
	free(t);
}
