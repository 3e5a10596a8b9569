/*
 * methods_read.c: the methods that only look. ats, stock and scan read views on any loop; the others ask the engine.
 *
 * Q1: what is shown is durable: a view's reply waits for the newest cell it read, an engine's for all that it decided.
 * Q2: `seq` is a position taken before the first cell is read, so that every value is at or past it.
 * Q3: on another loop than the engine's, a due deadline sends the read to the engine, which expires first (D19).
 */
#include "net/methods_part.h"

/* ---- options ---- */

enum { CHANNEL, MIN_SEQ, WAIT_MS, SKIP_TO };
static const struct key option_keys[] = {
	[CHANNEL] = KEY("channel"), [MIN_SEQ] = KEY("min_seq"), [WAIT_MS] = KEY("wait_ms"), [SKIP_TO] = KEY("skip_to"),
};

static enum status
read_option(struct call *call, int key, struct read_options *options)
{
	struct reader *r = &call->params;
	int64_t skip_to;
	switch (key) {
	case CHANNEL: /* D3: without quotas the ATS of a channel is the plain one */
		return params_text(call->space, r, "channel", PLACE_BYTES_MAX, &options->channel);
	case MIN_SEQ:
		options->has_min_seq = true;
		if (!reader_int_in(r, 0, (int64_t)SEQ_MAX, &options->min_seq))
			return params_refuse(call->space, "min_seq must be an integer 0..2^53-1");
		return STATUS_OK;
	case WAIT_MS:
		if (!reader_int_in(r, 0, WAIT_MS_MAX, &options->wait_ms))
			return params_refuse(call->space, "wait_ms must be an integer 0..%d", WAIT_MS_MAX);
		return STATUS_OK;
	case SKIP_TO:
		if (!reader_int_in(r, 1, (int64_t)SEQ_MAX, &skip_to))
			return params_refuse(call->space, "skip_to must be an integer 1..2^53-1");
		options->skip_to = (uint64_t)skip_to;
		return STATUS_OK;
	default:
		return reader_skip(r) ? STATUS_OK : params_refuse(call->space, "the message ends inside a map");
	}
}

enum status
read_options(struct call *call, bool given, struct read_options *options)
{
	uint32_t pairs = 0;
	int hint = 0;
	enum status status = STATUS_OK;
	*options = (struct read_options){ .min_seq = 0 };
	if (!given || reader_nil(&call->params))
		return STATUS_OK;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "options must be a map");
	for (; pairs > 0 && status == STATUS_OK; pairs--) {
		int key = reader_key(&call->params, option_keys, 4, &hint);
		if (!reader_nil(&call->params))
			status = read_option(call, key, options);
	}
	return status;
}

bool
read_behind(struct call *call, const struct read_options *options, uint64_t position, enum handled *handled)
{
	if (!options->has_min_seq || (uint64_t)options->min_seq <= position)
		return false;
	if (options->wait_ms > 0 && !call->handling->waited) {
		call->handling->wait_for = (uint64_t)options->min_seq;
		call->handling->wait_ms = options->wait_ms;
		*handled = HANDLED_WAIT;
		return true;
	}
	put_error_number(call->out, call->msgid, STATUS_BEHIND, "the server has not come that far", "seq", (int64_t)position);
	call->handling->refused = true;
	*handled = HANDLED_REPLY;
	return true;
}

/* ---- reads of views ---- */

struct cells_ask {
	struct reader pairs;
	uint32_t pairs_n;
	struct read_options options;
	uint64_t durable;
};

static bool
needs_engine(const struct call *call)
{
	return call->place != PLACE_ENGINE && view_deadline(call->service->engine) <= call->now_ms; /* Q3 */
}

/* [[[sku, place], ...], options?]: true when *handled is already the answer. The pairs themselves are read later, once. */
static bool
cells_open(struct call *call, uint32_t most, struct cells_ask *ask, enum handled *handled)
{
	struct reader *r = &call->params;
	*handled = HANDLED_REPLY;
	if (params_count(call->space, call->params_n, 1, 2) != STATUS_OK)
		return call_bad(call), true;
	struct reader list = *r;
	if (!reader_array(&list, &ask->pairs_n)) {
		params_refuse(call->space, "params[0] must be an array of [sku, location-or-group]");
		return call_bad(call), true;
	}
	if (ask->pairs_n > most) {
		params_refuse(call->space, "at most %u cells in one %s", most, call->method->name);
		return call_refuse(call, STATUS_TOO_LARGE, call->space->text), true;
	}
	ask->pairs = list;
	bool more = call->params_n == 2 && reader_skip(r);
	if (read_options(call, more, &ask->options) != STATUS_OK)
		return call_bad(call), true;
	if (needs_engine(call)) {
		*handled = HANDLED_ENGINE;
		return true;
	}
	ask->durable = call->service->durable(call->service->host); /* Q2 */
	return read_behind(call, &ask->options, ask->durable, handled);
}

static bool
cells_pair(struct call *call, struct cells_ask *ask, uint32_t i, struct bytes *sku, struct bytes *place)
{
	struct reader *r = &ask->pairs;
	uint32_t n;
	if (reader_array(r, &n) && n == 2 && reader_text(r, NAME_BYTES_MAX, sku) && reader_text(r, PLACE_BYTES_MAX, place))
		return true;
	params_refuse(call->space, "cells[%u] must be [sku, location-or-group]: 1 to %d and 1 to %d bytes of UTF-8", i, NAME_BYTES_MAX,
	    PLACE_BYTES_MAX);
	return false;
}

static enum handled
cells_bad(struct call *call, size_t before)
{
	call->out->used = before;
	return call_bad(call);
}

enum handled
handle_ats(struct call *call)
{
	struct cells_ask ask;
	enum handled handled;
	struct bytes sku, place;
	if (cells_open(call, ATS_CELLS_MAX, &ask, &handled))
		return handled;
	uint8_t *room = buffer_room(call->out, WIRE_HEAD_BYTES_MAX + 1 + WIRE_INT_BYTES_MAX + (size_t)(ask.pairs_n + 1) * WIRE_INT_BYTES_MAX);
	if (!room)
		return HANDLED_REPLY;
	uint8_t *p = wire_head(room, call->msgid);
	uint64_t newest = 0;
	*p++ = 0x92;
	p = wire_uint(p, ask.durable);
	p = wire_array(p, ask.pairs_n);
	for (uint32_t i = 0; i < ask.pairs_n; i++) {
		int64_t ats;
		uint64_t seq;
		if (!cells_pair(call, &ask, i, &sku, &place))
			return call_bad(call);
		if (view_ats(call->service->engine, sku, place, &ats, &seq) != VIEW_OK) {
			*p++ = 0xc0;
			continue;
		}
		p = wire_int(p, ats);
		newest = seq > newest ? seq : newest;
	}
	call->out->used += (size_t)(p - room);
	call->handling->wait_for = newest; /* Q1 */
	return HANDLED_REPLY;
}

static void
put_cell(struct buffer *b, const struct cell_view *cell)
{
	put_map(b, 12);
	put_field(b, "on_hand", cell->on_hand);
	put_field(b, "unsellable", cell->unsellable);
	put_field(b, "reserved", cell->reserved);
	put_field(b, "committed", cell->committed);
	put_field(b, "promised", cell->promised);
	put_field(b, "safety_stock", cell->safety_stock);
	put_field(b, "oversell_limit", cell->oversell_limit);
	put_field(b, "ats", cell->ats);
	put_field(b, "short", cell->short_units);
	put_field(b, "inbound", cell->inbound);
	put_text(b, "last_event_at");
	put_instant(b, cell->last_event_at);
	put_text(b, "last_count_at");
	put_instant(b, cell->last_count_at);
}

enum handled
handle_stock(struct call *call)
{
	struct cells_ask ask;
	enum handled handled;
	struct bytes sku, place;
	uint64_t newest = 0;
	size_t before = call->out->used;
	if (cells_open(call, STOCK_CELLS_MAX, &ask, &handled))
		return handled;
	put_head(call->out, call->msgid);
	put_array(call->out, 2);
	put_uint(call->out, ask.durable);
	put_array(call->out, ask.pairs_n);
	for (uint32_t i = 0; i < ask.pairs_n; i++) {
		struct cell_view cell;
		if (!cells_pair(call, &ask, i, &sku, &place))
			return cells_bad(call, before);
		if (view_cell(call->service->engine, sku, place, &cell) != VIEW_OK) {
			put_nil(call->out);
			continue;
		}
		put_cell(call->out, &cell);
		newest = cell.seq > newest ? cell.seq : newest;
	}
	call->handling->wait_for = newest;
	return HANDLED_REPLY;
}

/* ---- scan ---- */

struct scan_ask {
	struct scan_filter filter;
	struct read_options options;
	uint64_t cursor;
	uint32_t limit;
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
	bool snapshot = true;
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
		if (reader_bool(&call->params, &snapshot) && !snapshot)
			return STATUS_OK;
		return params_refuse(call->space, "snapshot: not supported yet");
	case SCAN_MIN_SEQ:
		return read_option(call, MIN_SEQ, &ask->options);
	case SCAN_WAIT_MS:
		return read_option(call, WAIT_MS, &ask->options);
	default:
		return read_option(call, KEY_UNKNOWN, &ask->options);
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
 * Fills a page: up to the limit, up to what one message carries however long the names are, or until a call has looked at
 * so many cells that it stopped by itself.
 */
static enum view_status
scan_fill(struct call *call, struct scan_ask *ask, struct scan_page *page)
{
	size_t start = call->out->used, most_bytes = ((size_t)1 << 20) - 1024;
	for (;;) {
		uint32_t before = page->cells, most = ask->limit - before;
		size_t fits = (most_bytes - (call->out->used - start)) / SCAN_CELL_BYTES_MAX;
		most = most < fits ? most : (uint32_t)fits;
		if (most == 0 || call->out->full)
			return VIEW_OK;
		enum view_status status = view_scan(call->service->engine, &ask->filter, &ask->cursor, most, scan_cell, page);
		if (status != VIEW_OK || ask->cursor == 0 || page->cells - before < most)
			return status;
	}
}

enum handled
handle_scan(struct call *call)
{
	struct scan_ask ask = { .limit = SCAN_LIMIT_DEFAULT };
	struct scan_page page = { .out = call->out };
	size_t before = call->out->used;
	enum handled handled;
	if (scan_decode(call, &ask) != STATUS_OK)
		return call_bad(call);
	if (needs_engine(call))
		return HANDLED_ENGINE;
	uint64_t durable = call->service->durable(call->service->host);
	if (read_behind(call, &ask.options, durable, &handled))
		return handled;
	put_head(call->out, call->msgid);
	put_map(call->out, 3);
	put_text(call->out, "seq");
	put_uint(call->out, durable);
	put_text(call->out, "cells");
	size_t count_at = call->out->used;
	buffer_append(call->out, "\xdd\0\0\0\0", 5); /* an array whose count is known at the end */
	if (scan_fill(call, &ask, &page) != VIEW_OK) {
		call->out->used = before;
		return call_refuse(call, STATUS_UNKNOWN_LOCATION, "no location or group has this name");
	}
	put_text(call->out, "cursor");
	if (ask.cursor == 0)
		put_nil(call->out);
	else
		put_uint(call->out, ask.cursor);
	if (!call->out->full)
		wire_big_endian(call->out->at + count_at, 0xdd, page.cells, 4);
	call->handling->wait_for = page.newest;
	return HANDLED_REPLY;
}
