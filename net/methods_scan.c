/*
 * methods_scan.c: `scan`: pages of cells out of the views, on any loop; or, with snapshot, of one instant out of the image, on the
 * feed's thread. A cursor of the first kind is the next cell's number + 1; of the second one it has the snapshot's number above that,
 * so that it is known for what it is.
 */
#include "net/methods_part.h"
#include "net/feed.h"

#define PAGE_BYTES_MAX ((size_t)256 << 10) /* a longer page would be filled in one frame that everybody waits for */

struct scan_ask {
	struct scan_filter filter;
	struct read_options options;
	uint64_t cursor;
	uint32_t limit;
	bool snapshot;
};
struct scan_page {
	struct buffer *out;
	uint64_t newest;
	uint32_t cells;
};

enum { LOCATION, GROUP, SKU_PREFIX, SINCE, LIMIT, CURSOR, SNAPSHOT, SCAN_MIN_SEQ, SCAN_WAIT_MS };
static const struct key scan_keys[] = {
	[LOCATION] = KEY("location"), [GROUP] = KEY("group"), [SKU_PREFIX] = KEY("sku_prefix"), [SINCE] = KEY("since"),
	[LIMIT] = KEY("limit"), [CURSOR] = KEY("cursor"), [SNAPSHOT] = KEY("snapshot"), [SCAN_MIN_SEQ] = KEY("min_seq"),
	[SCAN_WAIT_MS] = KEY("wait_ms"),
};

static enum status
scan_number(struct call *call, const char *what, int64_t low, int64_t high, int64_t *n)
{
	if (reader_int_in(&call->params, low, high, n))
		return STATUS_OK;
	return params_refuse(call->space, "%s must be an integer %lld..%lld", what, (long long)low, (long long)high);
}

static enum status
scan_place(struct call *call, int key, struct scan_ask *ask)
{
	if (ask->filter.place.n > 0)
		return params_refuse(call->space, "location or group, not both");
	return params_text(call->space, &call->params, scan_keys[key].name, PLACE_BYTES_MAX, &ask->filter.place);
}

static enum status
scan_field(struct call *call, int key, struct scan_ask *ask)
{
	int64_t n = 0;
	enum status status = STATUS_OK;
	switch (key) {
	case LOCATION:
	case GROUP:
		return scan_place(call, key, ask);
	case SKU_PREFIX:
		return params_text(call->space, &call->params, "sku_prefix", NAME_BYTES_MAX, &ask->filter.sku_prefix);
	case SINCE:
		status = scan_number(call, "since", 0, (int64_t)SEQ_MAX, &n);
		ask->filter.since = (uint64_t)n;
		return status;
	case LIMIT:
		status = scan_number(call, "limit", 1, SCAN_LIMIT_MAX, &n);
		ask->limit = (uint32_t)n;
		return status;
	case CURSOR:
		if (!reader_int_in(&call->params, 1, INT64_MAX, &n))
			return params_refuse(call->space, "cursor must be one that scan answered");
		ask->cursor = (uint64_t)n;
		return status;
	case SNAPSHOT:
		if (reader_bool(&call->params, &ask->snapshot))
			return STATUS_OK;
		return params_refuse(call->space, "snapshot must be true or false");
	case SCAN_MIN_SEQ:
		ask->options.has_min_seq = true;
		return scan_number(call, "min_seq", 0, (int64_t)SEQ_MAX, &ask->options.min_seq);
	case SCAN_WAIT_MS:
		return scan_number(call, "wait_ms", 0, WAIT_MS_MAX, &ask->options.wait_ms);
	default:
		return reader_skip(&call->params) ? STATUS_OK : params_broken(call->space);
	}
}

static enum status
scan_decode(struct call *call, struct scan_ask *ask)
{
	uint32_t pairs;
	int hint = 0;
	enum status status = params_count(call->space, call->params_n, 0, 1);
	if (status != STATUS_OK || call->params_n == 0)
		return status;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "params[0] must be a map");
	for (; pairs > 0 && status == STATUS_OK; pairs--) {
		int key = reader_key(&call->params, scan_keys, sizeof scan_keys / sizeof scan_keys[0], &hint);
		if (!reader_nil(&call->params))
			status = scan_field(call, key, ask);
	}
	ask->snapshot |= ask->cursor >> SNAPSHOT_CURSOR_SHIFT != 0;
	return status;
}

static void
scan_cell(void *context, const struct cell_view *cell)
{
	struct scan_page *page = context;
	uint8_t *room = buffer_room(page->out, SCAN_CELL_BYTES_MAX), *p = room;
	if (!room)
		return;
	*p++ = 0x95;
	p = wire_str(p, cell->sku);
	p = wire_str(p, cell->location);
	p = wire_uint(p, cell->seq);
	p = wire_int(p, cell->ats);
	p = wire_int(p, cell->on_hand);
	page->out->used += (size_t)(p - room);
	page->newest = cell->seq > page->newest ? cell->seq : page->newest;
	page->cells++;
}

/*
 * Fills a page: up to the limit, up to PAGE_BYTES_MAX however long the names are, or until SCAN_VISIT_MAX cells were looked at.
 */
static enum view_status
scan_fill(struct call *call, struct scan_ask *ask, struct scan_page *page)
{
	size_t start = call->out->used;
	uint32_t visits = SCAN_VISIT_MAX;
	for (;;) {
		uint32_t before = page->cells, most = ask->limit - before;
		size_t fits = (PAGE_BYTES_MAX - (call->out->used - start)) / SCAN_CELL_BYTES_MAX;
		most = most < fits ? most : (uint32_t)fits;
		if (most == 0 || call->out->full)
			return VIEW_OK;
		enum view_status status = view_scan(call->service->engine, &ask->filter, &ask->cursor, most, &visits, scan_cell, page);
		if (status != VIEW_OK || ask->cursor == 0 || page->cells - before < most)
			return status;
	}
}

/* {seq, cells: [..., and where the number of cells is to be put. */
static size_t
page_begin(struct call *call, uint64_t seq)
{
	put_head(call->out, call->msgid);
	put_map(call->out, 3);
	put_text(call->out, "seq");
	put_uint(call->out, seq);
	put_text(call->out, "cells");
	size_t count_at = call->out->used;
	buffer_append(call->out, "\xdd\0\0\0\0", 5); /* an array whose count is known at the end */
	return count_at;
}

static enum handled
page_end(struct call *call, size_t count_at, uint32_t cells, uint64_t cursor)
{
	put_text(call->out, "cursor");
	if (cursor == 0)
		put_nil(call->out);
	else
		put_uint(call->out, cursor);
	if (!call->out->full)
		wire_big_endian(call->out->at + count_at, 0xdd, cells, 4);
	return HANDLED_REPLY;
}

static enum handled
scan_refuse(struct call *call, size_t before, enum status status, const char *message)
{
	call->out->used = before;
	read_shown(call, 0);
	return call_refuse(call, status, message);
}

/* Cells that changed in what a restore lost are as they were before, and have no later position: `since` cannot find them. */
static bool
scan_lost(struct call *call, const struct scan_ask *ask)
{
	uint64_t until = ask->filter.since && call->service->lost ? call->service->lost(call->service->host, ask->filter.since) : 0;
	const struct result detail = { .status = STATUS_GONE, .number = (int64_t)until + 1 };
	if (until == 0)
		return false;
	put_error_reply(call->out, call->msgid, STATUS_GONE, "since is a position that a restore from a backup lost: begin with a whole scan", &detail);
	call->handling->refused = true;
	return true;
}

/* ---- of one instant ---- */

static enum handled
snapshot_refuse(struct call *call, size_t before, const struct snapshot_answer *a)
{
	struct result detail = { .status = a->status, .which = "snapshots" };
	if (a->status != STATUS_LIMIT && a->status != STATUS_BEHIND)
		return scan_refuse(call, before, a->status, a->message);
	call->out->used = before;
	if (a->status == STATUS_BEHIND)
		put_error_number(call->out, call->msgid, a->status, a->message, "seq", (int64_t)a->seq);
	else
		put_error_reply(call->out, call->msgid, a->status, a->message, &detail);
	call->handling->refused = true;
	return HANDLED_REPLY;
}

static enum handled
snapshot_page(struct call *call, const struct scan_ask *ask)
{
	struct scan_page page = { .out = call->out };
	struct snapshot_ask wanted = { .filter = ask->filter, .cursor = ask->cursor, .min_seq = (uint64_t)ask->options.min_seq, .limit = ask->limit };
	struct snapshot_answer answer;
	size_t before = call->out->used, fits = PAGE_BYTES_MAX / SCAN_CELL_BYTES_MAX;
	wanted.limit = wanted.limit < fits ? wanted.limit : (uint32_t)fits;
	if (!feed_snapshot(call->service->feed, &wanted, &answer))
		return snapshot_refuse(call, before, &answer);
	size_t count_at = page_begin(call, answer.seq);
	if (!feed_snapshot_page(call->service->feed, &wanted, scan_cell, &page, &answer))
		return snapshot_refuse(call, before, &answer);
	read_shown(call, 0);
	return page_end(call, count_at, page.cells, answer.cursor);
}

/* ---- the method ---- */

enum handled
handle_scan(struct call *call)
{
	struct scan_ask ask = { .limit = SCAN_LIMIT_DEFAULT };
	struct scan_page page = { .out = call->out };
	size_t before = call->out->used;
	enum handled handled;
	if (scan_decode(call, &ask) != STATUS_OK)
		return call_bad(call);
	if (scan_lost(call, &ask))
		return HANDLED_REPLY;
	if (ask.snapshot)
		return call->place == PLACE_FEED ? snapshot_page(call, &ask) : HANDLED_FEED;
	if (read_needs_engine(call))
		return HANDLED_ENGINE;
	uint64_t durable = call->service->durable(call->service->host);
	if (read_behind(call, &ask.options, durable, &handled))
		return handled;
	size_t count_at = page_begin(call, durable);
	if (scan_fill(call, &ask, &page) != VIEW_OK)
		return scan_refuse(call, before, STATUS_UNKNOWN_LOCATION, "no location or group has this name");
	read_shown(call, page.newest);
	return page_end(call, count_at, page.cells, ask.cursor);
}
