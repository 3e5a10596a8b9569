/*
 * methods_query.c: the reads that ask the engine, and hello. What the engine shows includes everything it has decided, so
 * each of these replies waits for the engine's last position (Q1 of methods_read.c).
 */
#include "net/methods_part.h"

uint64_t
query_seq(struct call *call)
{
	call_wait_engine(call);
	return call->handling->wait_for;
}

void
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
