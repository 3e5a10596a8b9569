/*
 * post_flow.h: rows on their way: they become messages, messages go out many in flight, outcomes come back and are counted.
 *
 * A row whose number is too far ahead (gap_too_wide), or that the server refused for the moment, is put back and sent again once
 * everything else is answered, as long as that makes progress: a shuffled file, or one that arrives through a restarted gate, ends
 * whole. Memory is POST_SLOTS messages and the rows put back, whatever the file's length (O6).
 *
 * A plain struct: zero it, set the first five fields, then init. Every call returns early once *interrupted is set.
 */
#ifndef HOLDFAST_CMD_POST_FLOW_H
#define HOLDFAST_CMD_POST_FLOW_H

#include "cmd/post_link.h"
#include "cmd/post_read.h"
#include "cmd/post_tally.h"

#include <signal.h>

#define BACK_ROWS_MIN 8192 /* put back, the file rests until they are through: so many, or as many as may be under way if that is more; */
#define BACK_BYTES ((size_t)16 << 20) /* or so much. All that is under way then may still come back */

struct post_flow {
	struct post_link *link; /* owned */
	struct post_file *file; /* for the bar */
	struct post_tally *tally;
	const volatile sig_atomic_t *interrupted;
	int64_t patience_ms; /* so long what was refused for the moment is tried again while nothing at all gets through */

	struct post_message slot[POST_SLOTS];
	int idle[POST_SLOTS], idle_n; /* slots without a message */
	int filling; /* the slot that takes rows, or -1 */
	uint32_t back_rows; /* BACK_ROWS_MIN, or more */
	struct post_message back, again; /* rows put back; the same while they are sent again */
	uint32_t undated; /* rows in flight that do not say when they happened */
	bool any_undated;
	bool for_now, spool_full; /* some were refused for the moment only; by a gate whose spool is full */
	bool told, given_up; /* that rows wait has been said; nothing got through since rows were given up */
	bool spool_refused; /* rows are rejected because a gate's spool is full */
	struct why why; /* of the link, after -1 */
};

/* rows_max: of one message. false: out of memory (fini all the same). */
bool post_flow_init(struct post_flow *, uint32_t rows_max);
void post_flow_fini(struct post_flow *);
/* Takes one event with its row number and its original line; both are copied. -1: f->why. */
int post_flow_add(struct post_flow *, uint64_t number, struct bytes event, struct bytes line, bool dated);
/* Is so much put back that nothing new should be added before a drain? */
bool post_flow_rests(const struct post_flow *);
/* Sends what is filled, waits for every answer, sends what was put back again until that brings nothing more. -1: f->why. */
int post_flow_drain(struct post_flow *);
/* After Ctrl-C: what was sent is still counted, as far as it comes soon. */
void post_flow_last(struct post_flow *);
/* At the end: what is still in flight counts as not answered. */
void post_flow_lost(struct post_flow *);

#endif
