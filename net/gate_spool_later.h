/*
 * gate_spool_later.h: events that the server refused for now (beyond a gap, a table that is full): kept in memory, by their numbers
 * in the spool, and tried again in rounds with a growing pause between them, so that they hold up nobody else.
 *
 *            add                take                    settle
 *   (none) -------> WAITING ------------> SENT ----------------------> GONE
 *                      ^                    |
 *                      +--------------------+  refused again (back), or the answer was no answer
 *
 * LT1: sorted by number; what is there is not delivered (the spool keeps it, too).
 * LT2: at LATER_EVENTS_MAX or LATER_BYTES_MAX the owner carries some to the spool's end or stops reading it.
 *
 * The gate's thread.
 */
#ifndef HOLDFAST_NET_GATE_SPOOL_LATER_H
#define HOLDFAST_NET_GATE_SPOOL_LATER_H

#include "core/base.h"

#define LATER_EVENTS_MAX 65536
#define LATER_BYTES_MAX ((size_t)16 << 20)
#define LATER_WAIT_MS 100 /* before the first round; doubled up to the next while a round settles nothing */
#define LATER_WAIT_MS_MAX 5000

enum later_state { LATER_WAITING, LATER_SENT, LATER_GONE };

struct later_event {
	uint64_t number;
	int64_t stamp_ms;
	uint8_t *at; /* owned; NULL: GONE */
	uint16_t n;
	enum later_state state;
	bool alone; /* it came back with a whole batch: it is sent by itself */
};

struct gate_later {
	struct later_event *events; /* ascending; some GONE */
	uint32_t n, max, gone;
	uint32_t round; /* the next one of this round to look at; n: the round is over */
	size_t bytes;
	int64_t due_ms; /* the next round begins */
	int64_t wait_ms;
	bool progress; /* something was settled since the last round ended */
};

void later_init(struct gate_later *);
void later_fini(struct gate_later *);
/* WAITING or SENT ones. */
static inline uint32_t
later_count(const struct gate_later *l)
{
	return l->n - l->gone;
}
bool later_full(const struct gate_later *);
/* The smallest number that is here; UINT64_MAX: none. */
uint64_t later_first(struct gate_later *);
/* Copies it. False: no memory. */
bool later_add(struct gate_later *, uint64_t number, int64_t stamp_ms, struct bytes event, bool alone, int64_t now_ms);
/* NULL: it is not here. */
struct later_event *later_find(struct gate_later *, uint64_t number);
/* It is delivered or refused for good. */
void later_settle(struct gate_later *, struct later_event *);
/* It is at the spool's end now, and will come again: nothing was settled, so the pauses go on growing. */
void later_carried(struct gate_later *, struct later_event *);
/* The next one to be sent in this round; NULL: none now. The caller marks it SENT. */
struct later_event *later_next(struct gate_later *, int64_t now_ms);
/* When later_next() may have something; INT64_MAX: nothing is here. */
int64_t later_due_ms(const struct gate_later *);
/* Try all again soon. */
void later_hurry(struct gate_later *, int64_t now_ms);

#endif
