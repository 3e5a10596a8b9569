/* lookahead.c: the contract is in lookahead.h. */
#include "net/lookahead.h"

/* The walk to what the request names first: its first line stands for all. A frame that was not looked at names nothing. */
static void
walk_begin(const struct lookahead *l, struct ahead *ahead, struct request *request)
{
	static const struct bytes nothing;
	const struct asked_line *line = request->lines_n > 0 ? request->lines : NULL;
	ahead_begin(l->engine, ahead, request->id, line ? line->sku : nothing, line ? line->location : nothing);
	request->found = ahead;
}

/* The next frame's end, counted from the last one's: in one look, or by the scanner, which goes on with what it has begun. */
static enum scan
frame_find(struct lookahead *l, struct request *request, bool *looked, size_t *end)
{
	const uint8_t *bytes = l->bytes + l->found;
	size_t n = l->n - l->found;
	*looked = scanner_rests(l->scanner) && (*end = methods_look(l->place, bytes, n, request)) > 0;
	if (*looked)
		return SCAN_WHOLE;
	enum scan scan = scanner_scan(l->scanner, bytes, n, FRAME_BYTES_MAX, end);
	if (scan == SCAN_WHOLE)
		scanner_init(l->scanner);
	return scan;
}

/* The next block; an empty one: `rest` says why. */
static void
block_take(struct lookahead *l)
{
	l->next = l->block_n = 0;
	while (l->block_n < AHEAD_BLOCK && l->rest == SCAN_WHOLE && (l->block_n == 0 || l->found - l->handled < LOOKAHEAD_BYTES_MAX)) {
		struct frame_ahead *frame = &l->frames[l->block_n];
		struct ahead *walk = &l->walks[l->block_n];
		size_t end;
		l->rest = l->found < l->n ? frame_find(l, &frame->request, &frame->looked, &end) : SCAN_MORE;
		if (l->rest != SCAN_WHOLE)
			break;
		bool alone = l->block_n++ == 0 && l->found + end == l->n; /* it is handled at once: nothing to gain */
		frame->end = l->found += end;
		if (frame->looked && !alone)
			walk_begin(l, walk, &frame->request);
		else
			ahead_none(walk);
	}
	if (l->block_n > 1)
		ahead_walk(l->engine, l->walks, l->block_n);
}

void
lookahead_begin(struct lookahead *l, const struct engine *engine, enum place place, struct scanner *scanner, const uint8_t *bytes, size_t n)
{
	l->engine = engine;
	l->place = place;
	l->scanner = scanner;
	l->bytes = bytes;
	l->n = n;
	l->found = l->handled = 0;
	l->rest = SCAN_WHOLE;
	l->next = l->block_n = 0;
}

enum scan
lookahead_next(struct lookahead *l, size_t *end, const struct request **request)
{
	if (l->next == l->block_n)
		block_take(l);
	if (l->block_n == 0)
		return l->rest;
	const struct frame_ahead *frame = &l->frames[l->next++];
	*end = l->handled = frame->end;
	*request = frame->looked ? &frame->request : NULL;
	return SCAN_WHOLE;
}
