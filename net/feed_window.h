/*
 * feed_window.h: a window of the log: the changes of some steps in a row, merged per cell, and their bytes on the wire.
 *
 * W1 A window is told in one message or not at all. A merged change stands at its last step, and the earlier ones it took in are
 *    nowhere else: in two messages, who stopped between them and went on from the last position seen would lose those.
 * W2 A cell is told when any step of the window moved its ATS, also when it came back to where it was: a reader of another clock (a
 *    scan beside the watch) may have seen it in between.
 *
 * Pure but for names, which it asks the engine's views for. One thread.
 */
#ifndef HOLDFAST_NET_FEED_WINDOW_H
#define HOLDFAST_NET_FEED_WINDOW_H

#include "net/buffer.h"
#include "persist/changes.h"

struct engine;

#define WINDOW_CELLS_MAX 2048 /* a step that would make it more begins the next window; one step alone may have more */
#define WINDOW_STEPS_MAX 65536
#define WINDOW_SLOTS     16384 /* a power of two, above 2 x CHANGES_STEP_MAX */

struct merged {
	struct change change; /* `was` of the first step, the rest of the last */
	bool moved; /* a step changed the ATS */
	bool crossed; /* a step took it from above 0 to 0 or below, or back */
	uint32_t wire_at, wire_plain, wire_full; /* its bytes behind the array's head, once somebody wanted them; 0 bytes: not yet */
};

struct window {
	uint64_t seq; /* everything up to here is inside, or was before */
	uint32_t n, steps;
	struct merged at[CHANGES_STEP_MAX]; /* by position once it is sorted */
	uint16_t slots[WINDOW_SLOTS]; /* hash by cell: index + 1 */
	struct buffer wire;
};

void window_clear(struct window *, uint64_t seq);
/* A further step. False: it belongs into the next window. */
bool window_add(struct window *, uint64_t seq, const struct change *, uint32_t n);
void window_sort(struct window *);

enum window_form { WINDOW_PLAIN, WINDOW_FULL };
/* Appends [seq, sku, location, ats, was] or, full, [..., on_hand, threshold]. */
void window_put(struct window *, uint32_t i, enum window_form, const struct engine *, struct buffer *);

#endif
