/*
 * lookahead.h: the frames of one read, found and looked at before they are handled. A client that pipelines brings many requests in
 * one read; while one is handled the next ones make their way to the cells they will touch (core/ahead.h), step by step.
 *
 *      bytes ──scanner──▶ waiting frames, up to AHEAD_WINDOW ──▶ the one that is handled now
 *                          step   step   step
 *
 * It decides nothing: a frame that looks odd is not looked at, and is handled as if this were not there. One loop's thread; it lives
 * for one pass over the bytes and borrows them.
 */
#ifndef HOLDFAST_NET_LOOKAHEAD_H
#define HOLDFAST_NET_LOOKAHEAD_H

#include "core/ahead.h"
#include "net/scanner.h"

struct lookahead {
	const struct engine *engine;
	struct engine *own; /* the same on the engine's own thread: reservations may be looked at, and what is found is told it; else NULL */
	struct scanner *scanner; /* of the connection: it remembers where a frame that is not whole stopped */
	const uint8_t *bytes;
	size_t n, found; /* bytes[0..found) are whole frames, handled or waiting */
	enum scan rest; /* what stands behind them: SCAN_WHOLE: not looked at yet */
	struct ahead_line line;
	size_t ends[AHEAD_WINDOW]; /* of the frames in the line */
	unsigned last; /* the place of the frame that was given out last */
};

/* ids: this is the engine's thread. */
void lookahead_begin(struct lookahead *, struct engine *, bool ids, struct scanner *, const uint8_t *bytes, size_t n);
/* As scanner_scan() would say of the next frame: SCAN_WHOLE: it ends before bytes[*end]. Moves on to the one behind. */
enum scan lookahead_next(struct lookahead *, size_t *end);
/* What the walk of that frame found: a hint for its command, until the next call. */
const struct ahead *lookahead_found(const struct lookahead *);

#endif
