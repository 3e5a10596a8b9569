/*
 * timers.h: which holds end when, to the millisecond. Two circles of intrusive lists over reservation slots:
 *
 *   fine    2^20 slots of 1 ms: every deadline within the next 17 minutes, exactly
 *   coarse  2^17 slots of 2^10 ms: what lies beyond, up to 37 hours; moved to the fine circle a slot at a time, a few holds per
 *           call, long before it is due, so that no call is long
 *
 * T1 a deadline not yet reached is in `fine` or `coarse` at its own slot; one already past goes to `due`.
 * T2 timers_next() is never later than the earliest deadline; while one is past it is past, too.
 */
#ifndef HOLDFAST_CORE_TIMERS_H
#define HOLDFAST_CORE_TIMERS_H

#include "core/base.h"
#include "core/carve.h"

#define TIMER_FINE_BITS   20
#define TIMER_COARSE_BITS 17
#define TIMER_STEP_BITS   10 /* a coarse slot is 2^10 ms */
/* No deadline may be further ahead than this; the bounds of D18 keep far below. */
#define TIMER_SPAN_MS     (INT64_C(36) * 3600 * 1000)

/* The part of a reservation that timers own. */
struct timer {
	uint32_t next, prev; /* slot + 1; 0: none */
};

struct circle {
	uint32_t *head; /* slot + 1 */
	uint64_t *bits[4]; /* which slots hold something; each level summarises 64 words of the one below */
	uint32_t levels;
};

struct timers {
	struct circle fine, coarse;
	uint32_t due; /* list of what was past when it came */
	int64_t now; /* all fine slots before this are empty */
	int64_t soonest; /* never later than the next deadline; brought up to date once per batch */
	/* How to reach a timer and its deadline from a slot number. */
	uint8_t *first;
	size_t stride, deadline_offset;
};

/* Timers live inside records at `first` + slot x stride, their deadline (int64_t ms) at deadline_offset from the timer. */
void timers_init(struct timers *, struct carve *);
void timers_bind(struct timers *, void *first, size_t stride, size_t deadline_offset);
void timers_set_now(struct timers *, int64_t now); /* only while empty */
void timers_put(struct timers *, uint32_t slot);
/* The deadline must still be what it was when put. */
void timers_remove(struct timers *, uint32_t slot);
/* A lower bound of the next deadline; INT64_MAX: none. */
int64_t timers_next(const struct timers *);
/* The same, cheaper and perhaps earlier: what was known when the batch began, and what came since. */
static inline int64_t
timers_soonest(const struct timers *t)
{
	return t->soonest;
}
/* Keeps pace with time while nothing is due: once per batch. */
void timers_advance(struct timers *, int64_t now);
/* Advances towards `now`, with at most *work moves between circles; the slot of a hold that is due (it stays put until the
 * caller removes it), or UINT32_MAX: nothing more is due, or *work is used up (then it is 0). */
uint32_t timers_due(struct timers *, int64_t now, uint32_t *work);

#endif
