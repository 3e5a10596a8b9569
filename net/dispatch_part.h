/*
 * dispatch_part.h: what dispatch.c (frames, rings, rounds) and dispatch_wait.c (answers from elsewhere, waiting reads, jobs) share;
 * nobody else includes it.
 */
#ifndef HOLDFAST_NET_DISPATCH_PART_H
#define HOLDFAST_NET_DISPATCH_PART_H

#include "net/dispatch.h"
#include "net/ring.h"

#define FLAG_CLOSE   1u /* of a RING_REPLY: the connection ends after it */
#define RETRY_AFTER_MS 1000 /* `overloaded` of a journal that does not move */

/* A read that waits for a position (min_seq with wait_ms), or that is asked again. The frame is a copy. */
struct parked {
	unsigned origin;
	uint64_t token, wait_for;
	int64_t since_ms, until_ms;
	bool again; /* C5: it is asked until until_ms, then `overloaded` */
	struct handling handling;
	size_t n;
	uint8_t *frame;
};

struct job {
	uint64_t number, token;
	unsigned origin;
	uint32_t msgid;
	const char *method;
};

/* An extra loop, as the engine's loop sees it. */
struct remote {
	struct loop *loop;
	struct ring *in, *out;
	struct ring_record frame; /* taken from `in`, not answered yet */
	bool has_frame;
	struct handling handling;
	struct buffer reply; /* to that frame; or one that found `out` full */
	struct ring_record waiting;
	bool has_waiting;
	bool told; /* something was put in this round; */
	uint64_t waits_for; /* the first of it to go waits for this position: when that is durable, no bell of the journal will come for it */
};

struct dispatch {
	struct loop *loop, *loops;
	unsigned loops_n;
	/* an extra loop's ends */
	struct ring *to_engine, *from_engine;
	bool put; /* frames were handed over in this round */
	/* the first loop's */
	struct remote *remotes; /* by loop index; [0] is not used */
	struct job jobs[JOBS_MAX];
	unsigned jobs_n;
	/* any loop's */
	struct parked parked[PARKED_MAX];
	unsigned parked_n;
	size_t parked_bytes;
	struct buffer scratch;
};

static inline void
dispatch_count(struct loop *l, const struct handling *h)
{
	counters_add(&l->counters, COUNTER_FRAMES, 1);
	if (h->refused)
		counters_add(&l->counters, COUNTER_REFUSED, 1);
}

/* What C5 needs to know of a reply; NULL: it does not fall under it. */
static inline const struct asked *
dispatch_asked_of(const struct handling *h, int64_t since_ms, const uint8_t *frame, size_t n, struct asked *asked)
{
	if (h->good_until_ms == 0)
		return NULL;
	*asked = (struct asked){ h->good_until_ms, since_ms, frame, n };
	return asked;
}

/* Something was put that waits for this position, 0: for none. */
static inline void
dispatch_remote_told(struct remote *r, uint64_t wait_for)
{
	if (!r->told || wait_for < r->waits_for)
		r->waits_for = wait_for;
	r->told = true;
}

/* A reply that finds the ring full stays in `waiting`; nothing more is taken from that loop until it is gone. */
void dispatch_remote_put(struct remote *, const struct ring_record *);
/* Nothing is left in `waiting`. */
bool dispatch_remote_ready(struct remote *);
void dispatch_asked_append(const struct dispatch *, struct buffer *reply, struct ring_record *, const struct asked *);
/* The refusal of a request that a disk without motion keeps waiting. The frame is one. */
void dispatch_overloaded_put(struct loop *, const uint8_t *frame, size_t n, struct buffer *out);

/* Keeps a copy of a read until it can be answered. False: no place. */
bool dispatch_park(struct dispatch *, unsigned origin, uint64_t token, const struct handling *, const uint8_t *frame, size_t n);
void dispatch_parked_round(struct dispatch *);
void dispatch_job_add(struct dispatch *, unsigned origin, uint64_t token, const struct handling *);
/* One slice a round, so that no client waits for more than a slice. */
void dispatch_jobs_round(struct dispatch *);

#endif
