/*
 * lookahead.h: the frames of one read, taken before they are handled. A client that pipelines brings many requests in one read; a block of
 * them goes to the cells they will touch side by side (core/ahead.h), then they are handled one by one, then the next block is taken.
 *
 *      bytes ─┬─one look──▶ requests ─┬▶ a block of frames, up to AHEAD_BLOCK ──▶ the one that is handled now
 *             └─scanner───▶ frames ───┘   their walks, side by side
 *
 * A frame of a usual form is looked at once: the look (methods_look()) finds its end and leaves the request it is. Every other one is cut
 * out by the scanner and decoded in its turn. Nothing is decided here: which way a frame went cannot be told from its answer.
 *
 * One loop's thread; it lives for one pass over the bytes and borrows them.
 */
#ifndef HOLDFAST_NET_LOOKAHEAD_H
#define HOLDFAST_NET_LOOKAHEAD_H

#include "core/ahead.h"
#include "net/methods.h"
#include "net/scanner.h"

/* So much is looked at ahead and no more: of longer frames, a turn that ends would leave too much to be scanned again. */
#define LOOKAHEAD_BYTES_MAX ((size_t)4 << 10)

struct frame_ahead {
	size_t end; /* in the bytes */
	bool looked; /* it is the request */
	struct request request;
};
struct lookahead {
	const struct engine *engine;
	enum place place; /* PLACE_ENGINE: reservations may be looked at, too */
	struct scanner *scanner; /* of the connection: it remembers where a frame that is not whole stopped */
	const uint8_t *bytes;
	size_t n, found, handled; /* bytes[0..found) are whole frames, those up to `handled` given out, the others waiting */
	enum scan rest; /* what stands behind them: SCAN_WHOLE: not looked at yet */
	unsigned next, block_n; /* of the block: the next to be given out, and how many it has */
	struct ahead walks[AHEAD_BLOCK];
	struct frame_ahead frames[AHEAD_BLOCK];
};

/* place: where its requests will be handled, if they can be. */
void lookahead_begin(struct lookahead *, const struct engine *, enum place, struct scanner *, const uint8_t *bytes, size_t n);
/*
 * As scanner_scan() would say of the next frame: SCAN_WHOLE: it ends before bytes[*end], and *request is what it asks, good until the
 * next call; NULL: to be seen by methods_handle(). Moves on to the one behind.
 */
enum scan lookahead_next(struct lookahead *, size_t *end, const struct request **request);

#endif
