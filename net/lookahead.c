/* lookahead.c: the contract is in lookahead.h. */
#include "net/lookahead.h"

#include "core/engine.h"
#include "net/codec_read.h"

/* [sku, place, ...] */
static void
names_peek(struct reader *r, struct bytes *sku, struct bytes *place)
{
	uint32_t n;
	if (!reader_array(r, &n) || n < 2 || !reader_str(r, sku) || !reader_str(r, place))
		*sku = (struct bytes){ NULL, 0 };
}

/*
 * The names most requests begin with: [0, msgid, method, [id, [[sku, place, ...], ...], ...]] of reserve and its kin, or
 * [[[sku, place], ...], ...] of reads. The first line stands for all.
 */
static void
frame_peek(const uint8_t *frame, size_t n, struct bytes *id, struct bytes *sku, struct bytes *place)
{
	struct reader r = { frame, frame + n };
	struct bytes method;
	uint32_t parts;
	int64_t number;
	if (!reader_array(&r, &parts) || !reader_int(&r, &number) || !reader_int(&r, &number) || !reader_str(&r, &method) ||
	    !reader_array(&r, &parts) || parts == 0)
		return;
	bool has_id = reader_str(&r, id);
	if ((has_id && parts == 1) || !reader_array(&r, &parts) || parts == 0)
		return;
	names_peek(&r, sku, place);
}

static void
frame_add(struct lookahead *l, size_t end)
{
	struct bytes id = { NULL, 0 }, sku = { NULL, 0 }, place = { NULL, 0 };
	bool alone = l->line.n == 0 && l->found + end == l->n; /* it is handled at once: nothing to gain */
	if (!alone)
		frame_peek(l->bytes + l->found, end, &id, &sku, &place);
	struct ahead *ahead = ahead_line_add(&l->line);
	l->found += end;
	l->ends[ahead - l->line.at] = l->found;
	ahead_begin(l->engine, ahead, l->own ? id : (struct bytes){ NULL, 0 }, sku, place);
}

static void
frames_find(struct lookahead *l)
{
	while (!ahead_line_full(&l->line) && l->rest == SCAN_WHOLE) {
		size_t end;
		l->rest = l->found < l->n ? scanner_scan(l->scanner, l->bytes + l->found, l->n - l->found, FRAME_BYTES_MAX, &end) : SCAN_MORE;
		if (l->rest != SCAN_WHOLE)
			break;
		scanner_init(l->scanner);
		frame_add(l, end);
	}
}

void
lookahead_begin(struct lookahead *l, struct engine *engine, bool ids, struct scanner *scanner, const uint8_t *bytes, size_t n)
{
	l->engine = engine;
	l->own = ids ? engine : NULL;
	l->scanner = scanner;
	l->bytes = bytes;
	l->n = n;
	l->found = 0;
	l->rest = SCAN_WHOLE;
	l->line.first = l->line.n = 0;
}

enum scan
lookahead_next(struct lookahead *l, size_t *end)
{
	frames_find(l);
	if (l->line.n == 0)
		return l->rest;
	l->last = l->line.first;
	*end = l->ends[l->last];
	if (l->own)
		engine_hint(l->own, &l->line.at[l->line.first]);
	ahead_line_next(l->engine, &l->line);
	return SCAN_WHOLE;
}

const struct ahead *
lookahead_found(const struct lookahead *l)
{
	return &l->line.at[l->last];
}
