/*
 * methods_read.c: ats and stock, which read views on any loop, and the options that all reads share. scan is in methods_scan.c; the
 * other reads ask the engine.
 *
 * Q1: what is shown is durable: a view's reply waits for the newest cell it read and for the names and groups it knew or did not
 *     (read_shown()), an engine's for all that it decided.
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

bool
read_needs_engine(const struct call *call)
{
	return call->place != PLACE_ENGINE && view_deadline(call->service->engine) <= call->now_ms; /* Q3 */
}

void
read_shown(struct call *call, uint64_t newest)
{
	uint64_t named = view_named(call->service->engine);
	call->handling->wait_for = newest > named ? newest : named;
}

/* [[[sku, place], ...], options?]: true when it is refused. The pairs themselves are read later, once. */
static bool
cells_decode(struct call *call, uint32_t most, struct cells_ask *ask)
{
	struct reader *r = &call->params;
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
	return false;
}

/* True when *handled is already the answer. */
static bool
cells_open(struct call *call, uint32_t most, struct cells_ask *ask, enum handled *handled)
{
	*handled = HANDLED_REPLY;
	if (call->request)
		*ask = (struct cells_ask){ .pairs_n = call->request->lines_n };
	else if (cells_decode(call, most, ask))
		return true;
	if (read_needs_engine(call)) {
		*handled = HANDLED_ENGINE;
		return true;
	}
	ask->durable = call->service->durable(call->service->host); /* Q2 */
	return read_behind(call, &ask->options, ask->durable, handled);
}

static enum handled
cells_bad(struct call *call, size_t before)
{
	call->out->used = before;
	return call_bad(call);
}

/* The pairs, as many at a time as views read side by side. */
struct pairs {
	struct reader from;
	uint32_t left, at_n; /* left: not decoded yet */
	struct asked_line at[VIEW_MANY];
};

static inline struct pairs
pairs_of(const struct cells_ask *ask)
{
	struct pairs p;
	p.from = ask->pairs;
	p.left = ask->pairs_n;
	return p;
}

bool
read_cell_name(struct reader *r, struct asked_line *cell)
{
	uint32_t n;
	return reader_array(r, &n) && n == 2 && reader_text(r, NAME_BYTES_MAX, &cell->sku) && reader_text(r, PLACE_BYTES_MAX, &cell->location);
}

/* The same behind another one, whose location is often this one's, too: then it is the same bytes (view_many.c sees it). */
static bool
read_cell_name_behind(struct reader *r, const struct asked_line *before, struct asked_line *cell)
{
	uint32_t n;
	if (!reader_array(r, &n) || n != 2 || !reader_text(r, NAME_BYTES_MAX, &cell->sku))
		return false;
	cell->location = before->location;
	return reader_text_again(r, before->location) || reader_text(r, PLACE_BYTES_MAX, &cell->location);
}

/* The next ones, at least one; NULL: one of them is none, which is worded. */
static const struct asked_line *
pairs_next(struct call *call, const struct cells_ask *ask, struct pairs *p)
{
	p->at_n = p->left < VIEW_MANY ? p->left : VIEW_MANY;
	p->left -= p->at_n;
	if (call->request)
		return call->request->lines;
	for (uint32_t i = 0; i < p->at_n; i++)
		if (i > 0 ? !read_cell_name_behind(&p->from, &p->at[i - 1], &p->at[i]) : !read_cell_name(&p->from, &p->at[i])) {
			params_refuse(call->space, "cells[%u] must be [sku, location-or-group]: 1 to %d and 1 to %d bytes of UTF-8",
			    ask->pairs_n - p->left - p->at_n + i, NAME_BYTES_MAX, PLACE_BYTES_MAX);
			return NULL;
		}
	return p->at;
}

/* Those of a look already know where one cell is. */
static void
ats_read(const struct call *call, const struct asked_line *cells, uint32_t n, int64_t *ats, uint64_t *newest)
{
	const struct engine *engine = call->service->engine;
	uint64_t seq;
	if (!call->request || n != 1)
		view_ats_many(engine, cells, n, ats, newest);
	else if (view_ats(engine, cells->sku, cells->location, call->request->found, ats, &seq) != VIEW_OK)
		*ats = VIEW_ATS_UNKNOWN;
	else
		*newest = seq;
}

enum handled
handle_ats(struct call *call)
{
	struct cells_ask ask;
	enum handled handled;
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
	for (struct pairs pairs = pairs_of(&ask); pairs.left > 0;) {
		int64_t ats[VIEW_MANY];
		const struct asked_line *cells = pairs_next(call, &ask, &pairs);
		if (!cells)
			return call_bad(call);
		ats_read(call, cells, pairs.at_n, ats, &newest);
		for (uint32_t i = 0; i < pairs.at_n; i++) {
			if (ats[i] == VIEW_ATS_UNKNOWN)
				*p++ = 0xc0;
			else
				p = wire_int(p, ats[i]);
		}
	}
	call->out->used += (size_t)(p - room);
	read_shown(call, newest);
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
	const struct engine *engine = call->service->engine;
	struct cells_ask ask;
	enum handled handled;
	uint64_t newest = 0;
	size_t before = call->out->used;
	if (cells_open(call, STOCK_CELLS_MAX, &ask, &handled))
		return handled;
	put_head(call->out, call->msgid);
	put_array(call->out, 2);
	put_uint(call->out, ask.durable);
	put_array(call->out, ask.pairs_n);
	for (struct pairs pairs = pairs_of(&ask); pairs.left > 0;) {
		struct cell_view view;
		const struct asked_line *cells = pairs_next(call, &ask, &pairs);
		if (!cells)
			return cells_bad(call, before);
		view_ahead(engine, cells, pairs.at_n);
		for (uint32_t i = 0; i < pairs.at_n; i++) {
			if (view_cell(engine, cells[i].sku, cells[i].location, &view) != VIEW_OK) {
				put_nil(call->out);
				continue;
			}
			put_cell(call->out, &view);
			newest = view.seq > newest ? view.seq : newest;
		}
	}
	read_shown(call, newest);
	return HANDLED_REPLY;
}
