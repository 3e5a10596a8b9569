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

static void
frames_find(struct lookahead *l)
{
	while (!ahead_line_full(&l->line) && l->rest == SCAN_WHOLE && (l->line.n == 0 || l->found - l->handled < LOOKAHEAD_BYTES_MAX)) {
		struct frame_ahead *frame = &l->frames[ahead_line_end(&l->line)];
		size_t end;
		l->rest = l->found < l->n ? frame_find(l, &frame->request, &frame->looked, &end) : SCAN_MORE;
		if (l->rest != SCAN_WHOLE)
			break;
		bool alone = l->line.n == 0 && l->found + end == l->n; /* it is handled at once: nothing to gain */
		struct ahead *ahead = ahead_line_add(&l->line);
		frame->end = l->found += end;
		if (frame->looked && !alone)
			walk_begin(l, ahead, &frame->request);
		else
			ahead_none(ahead);
	}
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
	l->line.first = l->line.n = 0;
}

enum scan
lookahead_next(struct lookahead *l, size_t *end, const struct request **request)
{
	frames_find(l);
	if (l->line.n == 0)
		return l->rest;
	const struct frame_ahead *frame = &l->frames[l->line.first];
	*end = l->handled = frame->end;
	*request = frame->looked ? &frame->request : NULL;
	ahead_line_next(l->engine, &l->line);
	return SCAN_WHOLE;
}
