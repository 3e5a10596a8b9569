/*
 * changes.h: what a batch of the log did to cells: one struct change for each cell entry, step by step. The change feed is a fold of
 * these, and of nothing else: never of live tables.
 *
 * F3 A step is told whole or not at all: it has one position, and who goes on behind that position gets none of it again.
 *
 * Pure functions over the bytes of a batch; any thread.
 */
#ifndef HOLDFAST_PERSIST_CHANGES_H
#define HOLDFAST_PERSIST_CHANGES_H

#include "core/base.h"
#include "persist/log.h"

#define CHANGES_STEP_MAX (LINES_MAX + 2 * LINES_ASKED_MAX) /* cells of one step: a reservation that replaces another */

struct change {
	uint64_t seq; /* of the step */
	uint32_t cell, sku, location; /* dense numbers */
	int64_t ats, was; /* behind the step, before it */
	int64_t on_hand; /* behind it */
};

/* Where a walk over a batch stands: in front of the step with position `seq`. Borrows the batch's payload. */
struct change_walk {
	const uint8_t *at, *end;
	uint64_t seq;
};

void change_walk_begin(struct change_walk *, const struct log_batch *);
/*
 * The next step's changes, of which there may be none: 1, and the walk stands behind it; 0: the batch ends; -1: why (bytes that the
 * checksum passed and that are no step).
 */
int change_walk_step(struct change_walk *, struct change changes[CHANGES_STEP_MAX], uint32_t *n, struct why *);

#endif
