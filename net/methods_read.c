/*
 * methods_read.c: ats and stock, which read views on any loop, and the options that all reads share. scan is in methods_scan.c; the
 * other reads ask the engine.
 *
 * Q1: what is shown is durable: a view's reply waits for the newest cell it read and for the names and groups it knew or did not
 *     (read_shown()), an engine's for all that it decided.
 * Q2: `seq` is a position taken before the first cell is read, so that every value is at or past it.
 * Q3: on another loop than the engine's, a due deadline sends the read to the engine, which expires first (D19).
 */
#include "core/ahead.h"
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

/* The pairs, decoded some time before their turn, so that what they will touch is on its way (core/ahead.h). A few stand in its way. */
#define PAIRS_AHEAD_MIN 4
struct pairs {
	struct reader from;
	uint32_t left; /* not decoded yet */
	bool ahead;
	struct ahead_line line;
	struct pair {
		struct asked_line cell;
		bool whole;
	} at[AHEAD_WINDOW]; /* by the place in the line */
};

static void
pairs_begin(struct pairs *p, const struct cells_ask *ask)
{
	p->from = ask->pairs;
	p->left = ask->pairs_n;
	p->ahead = ask->pairs_n >= PAIRS_AHEAD_MIN;
	p->line.first = p->line.n = 0;
}

bool
read_cell_name(struct reader *r, struct asked_line *cell)
{
	uint32_t n;
	return reader_array(r, &n) && n == 2 && reader_text(r, NAME_BYTES_MAX, &cell->sku) && reader_text(r, PLACE_BYTES_MAX, &cell->location);
}

static void
pair_read(struct reader *r, struct pair *pair)
{
	pair->whole = read_cell_name(r, &pair->cell);
	if (!pair->whole)
		pair->cell.sku = (struct bytes){ NULL, 0 };
}

/* Cell i, the next one, and what a walk ahead found for it (NULL: there was none); NULL: it is none, which is worded. */
static const struct asked_line *
pairs_next(struct call *call, struct pairs *p, uint32_t i, const struct ahead **found)
{
	*found = NULL;
	if (call->request) {
		*found = i == 0 ? call->request->found : NULL;
		return &call->request->lines[i];
	}
	struct pair *pair = &p->at[p->line.first];
	if (!p->ahead) {
		pair_read(&p->from, pair);
	} else {
		for (; p->left > 0 && !ahead_line_full(&p->line); p->left--) {
			struct ahead *ahead = ahead_line_add(&p->line);
			struct pair *last = &p->at[ahead - p->line.at];
			pair_read(&p->from, last);
			ahead_begin(call->service->engine, ahead, (struct bytes){ NULL, 0 }, last->cell.sku, last->cell.location);
		}
		*found = &p->line.at[p->line.first];
		ahead_line_next(call->service->engine, &p->line);
	}
	if (pair->whole)
		return &pair->cell;
	params_refuse(call->space, "cells[%u] must be [sku, location-or-group]: 1 to %d and 1 to %d bytes of UTF-8", i, NAME_BYTES_MAX,
	    PLACE_BYTES_MAX);
	return NULL;
}

enum handled
handle_ats(struct call *call)
{
	struct pairs pairs;
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
	pairs_begin(&pairs, &ask);
	for (uint32_t i = 0; i < ask.pairs_n; i++) {
		int64_t ats;
		uint64_t seq;
		const struct ahead *found;
		const struct asked_line *cell = pairs_next(call, &pairs, i, &found);
		if (!cell)
			return call_bad(call);
		if (view_ats(call->service->engine, cell->sku, cell->location, found, &ats, &seq) != VIEW_OK) {
			*p++ = 0xc0;
			continue;
		}
		p = wire_int(p, ats);
		newest = seq > newest ? seq : newest;
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
	struct pairs pairs;
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
	pairs_begin(&pairs, &ask);
	for (uint32_t i = 0; i < ask.pairs_n; i++) {
		struct cell_view cell;
		const struct ahead *found;
		const struct asked_line *name = pairs_next(call, &pairs, i, &found);
		if (!name)
			return cells_bad(call, before);
		if (view_cell(call->service->engine, name->sku, name->location, &cell) != VIEW_OK) {
			put_nil(call->out);
			continue;
		}
		put_cell(call->out, &cell);
		newest = cell.seq > newest ? cell.seq : newest;
	}
	read_shown(call, newest);
	return HANDLED_REPLY;
}
