/*
 * host_ahead.h: a thread that has ready what a busy server needs next: a spare file of the journal, memory for the reservations and
 * events that are about to come, and that of the indexes as soon as there is a first SKU. The checkpointer would be too late: one commit
 * of the image takes a second, in which a busy journal fills two files. It owns the verdict whether the journal is short of room.
 *
 * All this is only for speed: without a spare the append makes one itself, without memory the engine's thread takes its page faults.
 *
 * start, stop: one thread. host_ahead_journal_low(): any; it is at most PREPARE_MS old.
 */
#ifndef HOLDFAST_NET_HOST_AHEAD_H
#define HOLDFAST_NET_HOST_AHEAD_H

#include "core/engine.h"
#include "core/view.h"
#include "net/host_trouble.h"
#include "persist/log.h"

#include <pthread.h>
#include <stdatomic.h>

#define AHEAD_MS         50 /* from one look to the next */
#define PREPARE_MS       250 /* so often it asks for room when the journal has a spare, or none can be had */
#define POPULATE_BYTES   ((uintptr_t)2 << 20) /* at once; a large page */
#define INDEX_STEP_BYTES ((size_t)32 << 20) /* of an index, between two looks at the journal */
#define INDEX_BYTES_MAX  ((size_t)1 << 30) /* a longer index (of 100 M places) gets its pages when they are touched: limits may be far above what comes */
#define PLACES_AHEAD_MAX 1000000 /* reservations: about 160 MB; lines beyond their first: 24 MB; deltas: 32 MB */

struct host_ahead {
	/* given */
	struct engine *engine;
	struct log *log;
	struct trouble trouble; /* of the journal */
	uint32_t ready[VIEW_POOLS]; /* places of each pool that have their memory when the start is over */
	/* the thread's */
	struct { uint32_t seen, growth, mapped; } pools[VIEW_POOLS]; /* places */
	bool indexes_mapped;
	int64_t prepared_ms;
	uint64_t generation; /* of the journal, then */
	bool prepare_failed;
	/* its end */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool running;
	_Atomic bool stop; /* set under the lock; between pieces of memory it is looked at without */
	_Atomic int journal_low;
};

/* The given fields are filled, the others zero; the engine is recovered. -1: why. */
int host_ahead_start(struct host_ahead *, struct why *);
/* Ends the thread, if it runs. */
void host_ahead_stop(struct host_ahead *);

static inline bool
host_ahead_journal_low(const struct host_ahead *a)
{
	return atomic_load_explicit(&a->journal_low, memory_order_relaxed);
}

#endif
