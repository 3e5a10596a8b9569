/*
 * methods_query.c: the reads that ask the engine, and hello. What the engine shows includes everything it has decided, so
 * each of these replies waits for the engine's last position (Q1 of methods_read.c).
 */
#include "net/methods_part.h"

/* The engine's position as the answer's `seq`; the reply waits for it. */
static uint64_t
query_seq(struct call *call)
{
	call_wait_engine(call);
	return call->handling->wait_for;
}

static void
query_head(struct call *call, uint32_t pairs)
{
	put_head(call->out, call->msgid);
	put_map(call->out, pairs);
	put_text(call->out, "seq");
	put_uint(call->out, query_seq(call));
}

static void
put_named(struct buffer *b, const char *key, struct bytes value)
{
	put_text(b, key);
	if (value.n == 0)
		put_nil(b);
	else
		put_str(b, value);
}

/* ---- hello ---- */

static enum status
hello_decode(struct call *call, int64_t *v)
{
	static const struct key keys[] = { KEY("v") };
	uint32_t pairs;
	int hint = 0;
	bool given = false;
	enum status status = params_count(call->space, call->params_n, 1, 1);
	if (status != STATUS_OK)
		return status;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "params[0] must be a map {v: 1}");
	for (; pairs > 0; pairs--) {
		bool is_v = reader_key(&call->params, keys, 1, &hint) == 0;
		if (is_v && reader_int(&call->params, v))
			given = true;
		else if (is_v || !reader_skip(&call->params))
			return params_refuse(call->space, "v must be an integer");
	}
	return given ? STATUS_OK : params_refuse(call->space, "v is missing: params[0] must be {v: 1}");
}

static void
put_hello_limits(struct buffer *b, const struct engine_options *options)
{
	put_map(b, 9);
	put_field(b, "message_bytes", 1 << 20);
	put_field(b, "lines", LINES_ASKED_MAX);
	put_field(b, "batch", BATCH_MAX);
	put_field(b, "scan", SCAN_LIMIT_MAX);
	put_field(b, "source_window", SOURCE_WINDOW);
	put_field(b, "ttl_default_ms", options->value[OPTION_TTL_DEFAULT_MS]);
	put_field(b, "ttl_max_ms", options->value[OPTION_TTL_MAX_MS]);
	put_field(b, "pin_max_ms", options->value[OPTION_PIN_MAX_MS]);
	put_field(b, "count_window_ms", options->value[OPTION_COUNT_WINDOW_MS]);
}

enum handled
handle_hello(struct call *call)
{
	const struct service *service = call->service;
	int64_t v;
	if (hello_decode(call, &v) != STATUS_OK)
		return call_bad(call);
	if (v != 1)
		return call_refuse(call, STATUS_VERSION_UNSUPPORTED, "this server speaks version 1");
	put_head(call->out, call->msgid);
	put_map(call->out, 6);
	put_field(call->out, "v", 1);
	put_text(call->out, "server");
	put_text(call->out, service->server);
	put_text(call->out, "node");
	put_text(call->out, service->node);
	put_text(call->out, "epoch");
	put_uint(call->out, service->epoch);
	put_text(call->out, "seq");
	put_uint(call->out, service->durable(service->host));
	put_text(call->out, "limits");
	put_hello_limits(call->out, service->options ? service->options : &engine_options_default);
	return HANDLED_REPLY;
}

/* ---- reservation ---- */

static void
put_line_view(struct buffer *b, const struct line_view *line)
{
	put_map(b, 9);
	put_named(b, "sku", line->sku);
	put_named(b, "location", line->location);
	put_field(b, "qty", line->qty);
	put_field(b, "held", line->held);
	put_field(b, "committed", line->committed);
	put_field(b, "fulfilled", line->fulfilled);
	put_field(b, "released", line->released);
	put_field(b, "expired", line->expired);
	put_field(b, "handed_over", line->handed_over);
}

static void
put_reservation_view(struct call *call, const struct reservation_view *view)
{
	struct buffer *b = call->out;
	query_head(call, 9);
	put_named(b, "id", view->id);
	put_text(b, "state");
	put_text(b, reservation_state_name(view->state));
	put_named(b, "owner", view->owner);
	put_named(b, "channel", view->channel);
	put_field(b, "created_at", view->created_at);
	put_field(b, "expires_at", view->expires_at);
	put_text(b, "pinned");
	put_bool(b, view->pinned);
	put_text(b, "lines");
	put_array(b, view->lines_n);
	for (uint32_t i = 0; i < view->lines_n; i++)
		put_line_view(b, &view->lines[i]);
}

enum handled
handle_reservation(struct call *call)
{
	struct engine *engine = call->service->engine;
	struct read_options options;
	struct reservation_view view;
	struct bytes id;
	enum handled handled;
	if (params_count(call->space, call->params_n, 1, 2) != STATUS_OK ||
	    params_text(call->space, &call->params, "id", NAME_BYTES_MAX, &id) != STATUS_OK ||
	    read_options(call, call->params_n == 2, &options) != STATUS_OK)
		return call_bad(call);
	if (read_behind(call, &options, engine_seq(engine), &handled))
		return handled;
	query_seq(call);
	if (!engine_reservation(engine, id, &view))
		return call_refuse(call, STATUS_NOT_FOUND, "no reservation has this id, or it was forgotten");
	put_reservation_view(call, &view);
	return HANDLED_REPLY;
}

/* ---- outcome ---- */

struct outcome_key {
	struct bytes id; /* or: */
	struct bytes source;
	int64_t n;
};

static enum status
outcome_key(struct call *call, struct outcome_key *key)
{
	uint32_t n;
	if (!reader_array(&call->params, &n))
		return params_text(call->space, &call->params, "the key", NAME_BYTES_MAX, &key->id);
	if (n != 2 || !reader_text(&call->params, PLACE_BYTES_MAX, &key->source) ||
	    !reader_int_in(&call->params, 1, (int64_t)SEQ_MAX, &key->n))
		return params_refuse(call->space, "the key must be an id or [source, n]");
	return STATUS_OK;
}

static void
put_outcome_head(struct call *call, bool known, uint64_t seq)
{
	uint64_t now = query_seq(call);
	put_head(call->out, call->msgid);
	put_map(call->out, 4);
	put_text(call->out, "known");
	put_bool(call->out, known);
	put_text(call->out, "seq");
	put_uint(call->out, seq ? seq : now);
	put_text(call->out, "status");
}

/* NONE of a known event: it was seen, but what came of it is no longer remembered. */
static void
put_event_outcome(struct call *call, const struct event_outcome_view *view)
{
	put_outcome_head(call, view->known, view->seq);
	if (view->known && view->outcome != OUTCOME_NONE)
		put_text(call->out, event_outcome_name(view->outcome));
	else
		put_nil(call->out);
	put_text(call->out, "result");
	if (!view->known || view->outcome != OUTCOME_REJECTED) {
		put_nil(call->out);
		return;
	}
	put_map(call->out, 1);
	put_text(call->out, "rejected");
	put_text(call->out, status_name(view->status));
}

static bool
put_reservation_outcome(struct call *call, struct bytes id)
{
	struct engine *engine = call->service->engine;
	struct reservation_view view;
	struct result result;
	if (!engine_reservation(engine, id, &view))
		return false;
	enum reservation_state state = view.state; /* the view ends with the next call */
	if (!engine_first_reply(engine, id, &result))
		return false;
	put_outcome_head(call, true, result.seq);
	put_text(call->out, reservation_state_name(state));
	put_text(call->out, "result");
	put_reservation(call->out, true, &result);
	return true;
}

enum handled
handle_outcome(struct call *call)
{
	struct engine *engine = call->service->engine;
	struct read_options options;
	struct outcome_key key = { .n = 0 };
	struct event_outcome_view view = { .known = false };
	enum handled handled;
	if (params_count(call->space, call->params_n, 1, 2) != STATUS_OK || outcome_key(call, &key) != STATUS_OK ||
	    read_options(call, call->params_n == 2, &options) != STATUS_OK)
		return call_bad(call);
	if (read_behind(call, &options, engine_seq(engine), &handled))
		return handled;
	if (key.n > 0)
		engine_outcome_n(engine, key.source, (uint64_t)key.n, &view);
	else if (put_reservation_outcome(call, key.id))
		return HANDLED_REPLY;
	else
		engine_outcome_id(engine, key.id, &view);
	put_event_outcome(call, &view);
	return HANDLED_REPLY;
}

/* ---- position ---- */

static void
put_position(struct call *call, const struct position_view *view)
{
	struct buffer *b = call->out;
	query_head(call, 5);
	put_text(b, "contiguous");
	put_uint(b, view->contiguous);
	put_text(b, "highest");
	put_uint(b, view->highest);
	put_text(b, "missing");
	put_array(b, view->missing_n);
	for (uint32_t i = 0; i < view->missing_n; i++) {
		put_array(b, 2);
		put_uint(b, view->missing[i][0]);
		put_uint(b, view->missing[i][1]);
	}
	put_text(b, "last_at");
	put_instant(b, view->last_at);
}

enum handled
handle_position(struct call *call)
{
	struct engine *engine = call->service->engine;
	struct read_options options;
	struct position_view view;
	struct bytes source;
	enum handled handled;
	if (params_count(call->space, call->params_n, 1, 2) != STATUS_OK ||
	    params_text(call->space, &call->params, "source", PLACE_BYTES_MAX, &source) != STATUS_OK ||
	    read_options(call, call->params_n == 2, &options) != STATUS_OK)
		return call_bad(call);
	if (options.skip_to > 0) {
		struct command command = { .kind = COMMAND_SKIP_TO, .skip = { source, options.skip_to } };
		struct result result;
		if (call_read_only(call, &handled))
			return handled;
		engine_execute(engine, &command, &result);
		query_seq(call);
		if (result.status != STATUS_OK)
			return call_refuse_result(call, &result);
	} else if (read_behind(call, &options, engine_seq(engine), &handled)) {
		return handled;
	}
	engine_position(engine, source, &view);
	put_position(call, &view);
	return HANDLED_REPLY;
}

/* ---- policy {get: {cells?, groups?}} ---- */

enum { GET_CELLS, GET_GROUPS, GET_ALIASES, GET_UNITS, GET_LIMITS };

struct policy_get {
	struct reader cells, groups;
	bool has_cells, has_groups;
	uint32_t cells_n, groups_n;
};

/* The list is read twice: here for its shape, later for its answers. */
static enum status
get_list(struct call *call, int key, struct policy_get *get)
{
	struct reader *r = &call->params;
	struct bytes name;
	bool cells = key == GET_CELLS;
	uint32_t *n = cells ? &get->cells_n : &get->groups_n, pair, most = cells ? CELLS_POLICY_MAX : GROUPS_GET_MAX;
	if (!reader_array(r, n) || *n > most)
		return params_refuse(call->space, "%s must be an array of at most %u", cells ? "cells" : "groups", most);
	*(cells ? &get->has_cells : &get->has_groups) = true;
	*(cells ? &get->cells : &get->groups) = *r;
	for (uint32_t i = 0; i < *n; i++) {
		bool good = !cells || (reader_array(r, &pair) && pair == 2 && reader_text(r, NAME_BYTES_MAX, &name));
		if (!good || !reader_text(r, PLACE_BYTES_MAX, &name))
			return params_refuse(call->space, cells ? "cells[%u] must be [sku, location]" : "groups[%u] must be a name", i);
	}
	return STATUS_OK;
}

static enum status
get_decode(struct call *call, struct policy_get *get)
{
	static const struct key keys[] = { [GET_CELLS] = KEY("cells"), [GET_GROUPS] = KEY("groups"), [GET_ALIASES] = KEY("aliases"),
		[GET_UNITS] = KEY("units"), [GET_LIMITS] = KEY("limits") };
	uint32_t pairs;
	int hint = 0;
	enum status status = STATUS_OK;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "get must be a map {cells?, groups?}");
	for (; pairs > 0 && status == STATUS_OK; pairs--) {
		int key = reader_key(&call->params, keys, 5, &hint);
		if (reader_nil(&call->params))
			continue;
		if (key == GET_CELLS || key == GET_GROUPS)
			status = get_list(call, key, get);
		else if (key >= 0)
			status = params_refuse(call->space, "%s: not supported yet", keys[key].name);
		else if (!reader_skip(&call->params))
			status = params_refuse(call->space, "the message ends inside a map");
	}
	return status;
}

static void
put_policy_cell(struct call *call, struct reader *r)
{
	struct buffer *b = call->out;
	struct bytes sku = { NULL, 0 }, location = { NULL, 0 };
	struct policy_view view;
	uint32_t n;
	reader_array(r, &n);
	reader_str(r, &sku);
	reader_str(r, &location);
	put_array(b, 3);
	put_str(b, sku);
	put_str(b, location);
	if (engine_policy_cell(call->service->engine, sku, location, &view) != STATUS_OK) {
		put_nil(b);
		return;
	}
	put_map(b, 2);
	put_field(b, "safety_stock", view.safety_stock);
	put_field(b, "oversell_limit", view.oversell_limit);
}

static void
put_policy_group(struct call *call, struct reader *r)
{
	struct buffer *b = call->out;
	struct bytes name = { NULL, 0 }, *members = call->space->members;
	reader_str(r, &name);
	put_str(b, name);
	int n = engine_group(call->service->engine, name, members, GROUP_MEMBERS_MAX);
	if (n < 0) {
		put_nil(b);
		return;
	}
	put_map(b, 1);
	put_text(b, "members");
	put_array(b, (uint32_t)n);
	for (int i = 0; i < n; i++)
		put_str(b, members[i]);
}

enum handled
read_policy(struct call *call)
{
	struct policy_get get = { .cells_n = 0 };
	if (get_decode(call, &get) != STATUS_OK)
		return call_bad(call);
	query_head(call, 1u + get.has_cells + get.has_groups);
	if (get.has_cells) {
		put_text(call->out, "cells");
		put_array(call->out, get.cells_n);
	}
	for (uint32_t i = 0; i < get.cells_n; i++)
		put_policy_cell(call, &get.cells);
	if (get.has_groups) {
		put_text(call->out, "groups");
		put_map(call->out, get.groups_n);
	}
	for (uint32_t i = 0; i < get.groups_n; i++)
		put_policy_group(call, &get.groups);
	return HANDLED_REPLY;
}

/* ---- quarantine {op: "list"} ---- */

enum handled
read_quarantine(struct call *call, uint64_t after, uint32_t limit)
{
	struct engine *engine = call->service->engine;
	struct buffer *b = call->out;
	struct quarantine_view item;
	uint32_t n = 0;
	query_head(call, 2);
	put_text(b, "items");
	size_t count_at = b->used;
	buffer_append(b, "\xdd\0\0\0\0", 5); /* an array whose count is known at the end */
	for (; n < limit && engine_quarantine_next(engine, after, &item); n++) {
		after = item.number;
		put_map(b, 4);
		put_text(b, "quarantine");
		put_uint(b, item.number);
		put_text(b, "reason");
		put_text(b, status_name(item.reason));
		put_field(b, "at", item.at);
		put_text(b, "event");
		put_raw(b, item.raw);
	}
	if (!b->full)
		wire_big_endian(b->at + count_at, 0xdd, n, 4);
	return HANDLED_REPLY;
}

/* ---- status ---- */

static void
put_table(struct buffer *b, const char *name, uint64_t used, uint64_t most)
{
	put_text(b, name);
	put_array(b, 2);
	put_uint(b, used);
	put_uint(b, most);
}

static void
put_tables(struct buffer *b, const struct engine_usage *usage, const struct engine_limits *limits)
{
	put_map(b, 12);
	put_table(b, "cells", usage->cells, limits->cells_max);
	put_table(b, "skus", usage->skus, limits->skus_max);
	put_table(b, "locations", usage->locations, limits->locations_max);
	put_table(b, "groups", usage->groups, limits->groups_max);
	put_table(b, "sources", usage->sources, limits->sources_max);
	put_table(b, "channels", usage->channels, limits->channels_max);
	put_table(b, "reservations", usage->reservations_kept, limits->reservations_max);
	put_table(b, "extra_lines", usage->extra_lines, limits->extra_lines_max);
	put_table(b, "blobs", usage->blobs, limits->blobs_max);
	put_table(b, "history", usage->history, limits->history_max);
	put_table(b, "free_ids", usage->free_ids, limits->free_ids_max);
	put_table(b, "quarantine", usage->quarantined, limits->quarantine_max);
}

enum handled
handle_status(struct call *call)
{
	const struct service *service = call->service;
	struct buffer *b = call->out;
	struct engine_usage usage;
	if (params_count(call->space, call->params_n, 0, 0) != STATUS_OK)
		return call_bad(call);
	engine_usage(service->engine, &usage);
	query_head(call, 10);
	put_text(b, "durable");
	put_uint(b, service->durable(service->host));
	put_text(b, "epoch");
	put_uint(b, service->epoch);
	put_text(b, "node");
	put_text(b, service->node);
	put_text(b, "server");
	put_text(b, service->server);
	put_text(b, "tables");
	put_tables(b, &usage, engine_limits_of(service->engine));
	put_text(b, "reservations_open");
	put_uint(b, usage.reservations_open);
	put_text(b, "missing");
	put_uint(b, usage.missing);
	put_text(b, "youngest_forgotten_age_ms");
	put_instant(b, usage.youngest_forgotten_age_ms);
	put_text(b, "host");
	if (service->status)
		service->status(service->host, b);
	else
		put_map(b, 0);
	return HANDLED_REPLY;
}
