/*
 * methods.c: the table of methods and the envelope around them.
 *
 *   frame -> envelope -> row of the table -> (here or on the engine's loop) -> handler -> reply
 *
 * M1: a request whose number is known gets exactly one reply, whatever is wrong with it.
 * M2: a reply that did not fit into `out` is taken back whole and replaced by an error (methods_handle's end).
 */
#include "net/methods_part.h"

static void
result_reserve(struct buffer *b, const struct result *result)
{
	put_reservation(b, true, result);
}

static void
result_settle(struct buffer *b, const struct result *result)
{
	put_reservation(b, false, result);
}

static void
result_extend(struct buffer *b, const struct result *result)
{
	put_map(b, 2);
	put_text(b, "seq");
	put_uint(b, result->seq);
	put_field(b, "expires_at", result->expires_at);
}

static void
result_move(struct buffer *b, const struct result *result)
{
	put_map(b, 2 + result->again);
	put_text(b, "seq");
	put_uint(b, result->seq);
	put_text(b, "lines");
	put_lines(b, result->lines, result->lines_n);
	if (result->again) {
		put_text(b, "again");
		put_bool(b, true);
	}
}

static void
result_seq(struct buffer *b, const struct result *result)
{
	put_map(b, 1);
	put_text(b, "seq");
	put_uint(b, result->seq);
}

/* 128 bits as 32 hexadecimal digits, so that any client can compare them. */
static void
put_digest(struct buffer *b, const char *key, const uint64_t digest[2])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t text[32];
	for (uint32_t i = 0; i < 32; i++)
		text[i] = (uint8_t)digits[digest[i / 16] >> (60 - i % 16 * 4) & 15];
	put_text(b, key);
	put_str(b, (struct bytes){ text, sizeof text });
}

static void
result_digest(struct buffer *b, const struct result *result)
{
	put_map(b, 3u + result->has_state);
	put_text(b, "seq");
	put_uint(b, result->seq);
	if (result->has_state)
		put_digest(b, "state", result->digest_state);
	put_digest(b, "stock", result->digest_stock);
	put_text(b, "cells");
	put_uint(b, result->cells);
}

/* Ordered by how often they are called: the look-up is a walk. */
#define METHOD(text) .name = text, .name_n = sizeof(text) - 1
static const struct method methods[] = {
	{ METHOD("reserve"), PLACE_ENGINE, true, true, .decode = params_reserve, .look = look_command, .handle = handle_command, .result = result_reserve },
	{ METHOD("ats"), PLACE_ANY_LOOP, .shows_holds = true, .look = look_cells, .handle = handle_ats },
	{ METHOD("post"), PLACE_ENGINE, .command = true, .handle = handle_post },
	{ METHOD("commit"), PLACE_ENGINE, false, true, .decode = params_commit, .look = look_command, .handle = handle_command, .result = result_settle },
	{ METHOD("release"), PLACE_ENGINE, false, true, .decode = params_release, .look = look_command, .handle = handle_command, .result = result_settle },
	{ METHOD("fulfil"), PLACE_ENGINE, false, true, .decode = params_fulfil, .look = look_command, .handle = handle_command, .result = result_settle },
	{ METHOD("reserve_many"), PLACE_ENGINE, true, true, .handle = handle_reserve_many },
	{ METHOD("stock"), PLACE_ANY_LOOP, .shows_holds = true, .look = look_cells, .handle = handle_stock },
	{ METHOD("extend"), PLACE_ENGINE, true, true, .decode = params_extend, .look = look_command, .handle = handle_command, .result = result_extend },
	{ METHOD("pin"), PLACE_ENGINE, true, true, .decode = params_pin, .look = look_command, .handle = handle_command, .result = result_extend },
	{ METHOD("move"), PLACE_ENGINE, false, true, .decode = params_move, .look = look_command, .handle = handle_command, .result = result_move },
	{ METHOD("reservation"), PLACE_ENGINE, .shows_holds = true, .handle = handle_reservation },
	{ METHOD("outcome"), PLACE_ENGINE, .shows_holds = true, .handle = handle_outcome },
	{ METHOD("scan"), PLACE_ANY_LOOP, .shows_holds = true, .costly = true, .handle = handle_scan },
	{ METHOD("position"), PLACE_ENGINE, .handle = handle_position },
	{ METHOD("policy"), PLACE_ENGINE, .costly = true, .handle = handle_policy, .result = result_seq },
	{ METHOD("quarantine"), PLACE_ENGINE, .costly = true, .handle = handle_quarantine },
	{ METHOD("digest"), PLACE_ENGINE, .costly = true, .decode = params_digest, .look = look_command, .handle = handle_command, .result = result_digest },
	{ METHOD("status"), PLACE_ENGINE, .shows_holds = true, .costly = true, .handle = handle_status },
	{ METHOD("hello"), PLACE_ANY_LOOP, .handle = handle_hello },
	{ METHOD("atp"), PLACE_ANY_LOOP, .handle = handle_later },
	{ METHOD("explain"), PLACE_ANY_LOOP, .handle = handle_later },
	{ METHOD("watch"), PLACE_FEED, .handle = handle_watch },
};

const struct method *
method_find(struct bytes name)
{
	for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
		if (methods[i].name_n == name.n && memory_equal((const uint8_t *)methods[i].name, name.at, name.n))
			return &methods[i];
	}
	return NULL;
}

/* ---- answers ---- */

enum handled
call_refuse(struct call *call, enum status status, const char *message)
{
	put_error_reply(call->out, call->msgid, status, message, NULL);
	call->handling->refused = true;
	return HANDLED_REPLY;
}

enum handled
call_bad(struct call *call)
{
	return call_refuse(call, STATUS_BAD_REQUEST, call->space->text);
}

enum handled
call_refuse_result(struct call *call, const struct result *result)
{
	put_error_reply(call->out, call->msgid, result->status, result->message, result);
	call->handling->refused = true;
	return HANDLED_REPLY;
}

void
call_wait_engine(struct call *call)
{
	call->handling->wait_for = engine_seq(call->service->engine);
}

bool
call_read_only(struct call *call, enum handled *handled)
{
	const struct service *service = call->service;
	const char *why = service->read_only ? service->read_only(service->host) : NULL;
	if (!why)
		return false;
	put_error_text(call->out, call->msgid, STATUS_READ_ONLY, "the server takes no changes now", "why", why);
	call->handling->refused = true;
	*handled = HANDLED_REPLY;
	return true;
}

bool
call_overloaded(struct call *call, enum handled *handled)
{
	const struct service *service = call->service;
	if (!call->method->hold || !service->overloaded || !service->overloaded(service->host))
		return false;
	methods_refuse(call->msgid, STATUS_OVERLOADED,
	    "holds are refused for now: the disk is slow or nearly full (see status); commits, releases and events still pass",
	    RETRY_HOLD_MS, call->out);
	call->handling->refused = true;
	*handled = HANDLED_REPLY;
	return true;
}

bool
call_room(const struct call *call, uint32_t i)
{
	const struct service *s = call->service;
	if (s->late && i % LATE_PARTS == 0 && s->late(s->host))
		return false;
	return !s->room || s->room(s->host);
}

enum handled
handle_later(struct call *call)
{
	params_refuse(call->space, "%s: not supported yet", call->method->name);
	return call_bad(call);
}

void
methods_refuse(uint32_t msgid, enum status status, const char *message, int64_t retry_after_ms, struct buffer *out)
{
	if (retry_after_ms < 0)
		put_error_reply(out, msgid, status, message, NULL);
	else
		put_error_number(out, msgid, status, message, "retry_after_ms", retry_after_ms);
}

void
methods_finish(const struct service *service, uint32_t msgid, const char *method, const struct result *result, struct buffer *out)
{
	const struct method *row = method_find((struct bytes){ (const uint8_t *)method, (uint32_t)strlen(method) });
	ensure(row && row->result);
	if (result->status != STATUS_OK) {
		put_error_reply(out, msgid, result->status, result->message, result);
		return;
	}
	put_head(out, msgid);
	row->result(out, result);
}

/* ---- the envelope ---- */

enum envelope
envelope_open(struct reader *r, uint32_t *msgid, struct bytes *name)
{
	struct reader start = *r;
	uint32_t parts = 0;
	int64_t type = -1, id;
	bool list = reader_array(r, &parts) && reader_int(r, &type);
	if (list && type == 2 && parts == 3)
		return ENVELOPE_NOTIFICATION;
	if (list && type == 0 && parts == 4 && reader_int_in(r, 0, UINT32_MAX, &id) && reader_str(r, name)) {
		*msgid = (uint32_t)id;
		return ENVELOPE_REQUEST;
	}
	return reader_msgid(start.at, (size_t)(start.end - start.at), msgid) ? ENVELOPE_BROKEN : ENVELOPE_NONE;
}

/*
 * Until when what a view showed counts no dead hold. The engine may be in the middle of a call on its own thread: a hold of that
 * call was seen before its end was published, so its end is taken to be now.
 */
static int64_t
shown_until(const struct call *call, int64_t deadline_before)
{
	const struct engine *engine = call->service->engine;
	int64_t deadline = view_deadline(engine);
	if (call->handling->wait_for > view_seq(engine))
		return call->now_ms;
	return deadline < deadline_before ? deadline : deadline_before;
}

static void
method_begin(struct call *call, const struct method *method)
{
	call->method = method;
	call->handling->method = method->name;
	call->handling->costly = method->costly;
}

/* The method on its params: from the reader, which stands behind the head of their array, or from the request. */
static enum handled
method_run(struct call *call)
{
	const struct method *method = call->method;
	int64_t good_until_ms = method->shows_holds ? view_deadline(call->service->engine) : 0;
	enum handled handled = method->handle(call);
	if (method->shows_holds && handled == HANDLED_REPLY && !call->handling->refused)
		call->handling->good_until_ms = shown_until(call, good_until_ms);
	return handled;
}

static enum handled
dispatch(struct call *call, struct bytes name)
{
	const struct method *method = method_find(name);
	if (!method) {
		params_refuse(call->space, "there is no method \"%.*s\"", name.n > NAME_BYTES_MAX ? NAME_BYTES_MAX : (int)name.n,
		    (const char *)name.at);
		return call_refuse(call, STATUS_UNKNOWN_METHOD,
		    text_valid(name, NAME_BYTES_MAX) ? call->space->text : "there is no such method");
	}
	method_begin(call, method);
	if (method->place == PLACE_ENGINE && call->place != PLACE_ENGINE)
		return HANDLED_ENGINE;
	if (method->place == PLACE_FEED && call->place != PLACE_FEED)
		return HANDLED_FEED;
	if (!reader_array(&call->params, &call->params_n)) {
		params_refuse(call->space, "params must be an array");
		return call_bad(call);
	}
	return method_run(call);
}

/* M2. What a command did stands, although its answer is lost: that is what `unknown` means. */
static enum handled
too_long(struct call *call, size_t before)
{
	bool command = call->method && (call->method->command || call->method->place == PLACE_ENGINE);
	call->out->used = before;
	call->out->full = false;
	if (command)
		call_refuse(call, STATUS_UNKNOWN, "the answer is longer than this connection may hold; ask again with the same id");
	else
		call_refuse(call, STATUS_TOO_LARGE, "the answer is longer than this connection may hold; ask for less");
	return call->out->full ? HANDLED_CLOSE : HANDLED_REPLY;
}

/* What every refused hold is told, behind its number: encoded once a thread, since refusing must cost next to nothing. */
static const struct buffer *
refusal(void)
{
	static _Thread_local uint8_t bytes[256];
	static _Thread_local struct buffer text;
	if (text.used == 0) {
		text = (struct buffer){ .at = bytes, .size = sizeof bytes, .limit = sizeof bytes };
		methods_refuse(0, STATUS_OVERLOADED, "the queue is too long for new holds; commits, releases and events still pass", RETRY_HOLD_MS,
		    &text);
		ensure(!text.full && text.used > 3);
	}
	return &text;
}

static bool
hold_refuse(const struct method *method, uint32_t msgid, struct buffer *out)
{
	if (!method || !method->hold)
		return false;
	const struct buffer *said = refusal();
	uint8_t *room = buffer_room(out, WIRE_INT_BYTES_MAX + said->used), *p = room;
	if (!room)
		return false; /* no memory: methods_handle() ends the connection */
	*p++ = 0x94;
	*p++ = 1;
	p = wire_uint(p, msgid);
	memcpy(p, said->at + 3, said->used - 3); /* behind [1, 0 */
	out->used += (size_t)(p - room) + said->used - 3;
	return true;
}

bool
methods_refuse_hold(const uint8_t *frame, size_t n, struct buffer *out)
{
	struct reader r = { frame, frame + n };
	struct bytes name;
	uint32_t msgid;
	return envelope_open(&r, &msgid, &name) == ENVELOPE_REQUEST && hold_refuse(method_find(name), msgid, out);
}

bool
methods_refuse_request(const struct request *request, struct buffer *out)
{
	return hold_refuse(request->method, request->msgid, out);
}

/* ---- one request ---- */

static void
handling_begin(struct handling *handling, const struct buffer *out)
{
	if (handling->resume == 0)
		handling->reply_at = out->used;
	handling->wait_for = handling->job = 0;
	handling->good_until_ms = 0;
	handling->refused = false;
	handling->method = NULL;
}

static enum handled
handling_end(struct call *call, enum handled handled)
{
	bool full = call->out->full && (handled == HANDLED_REPLY || handled == HANDLED_AGAIN);
	return full ? too_long(call, call->handling->reply_at) : handled;
}

enum handled
methods_execute(const struct service *service, enum place place, int64_t now_ms, const struct request *request, struct buffer *out,
    struct handling *handling)
{
	struct call call = { .service = service, .place = place, .now_ms = now_ms, .msgid = request->msgid, .out = out, .handling = handling,
		.request = request };
	handling_begin(handling, out);
	handling->msgid = request->msgid;
	method_begin(&call, request->method);
	return handling_end(&call, method_run(&call));
}

enum handled
methods_handle(const struct service *service, enum place place, int64_t now_ms, const uint8_t *frame, size_t n, struct buffer *out,
    struct handling *handling)
{
	static _Thread_local struct decode_space space;
	struct call call = { .service = service, .place = place, .now_ms = now_ms, .params = { frame, frame + n }, .out = out,
		.handling = handling, .space = &space };
	struct bytes name;
	handling_begin(handling, out);
	enum envelope envelope = envelope_open(&call.params, &call.msgid, &name);
	handling->msgid = call.msgid;
	switch (envelope) {
	case ENVELOPE_NOTIFICATION:
		return HANDLED_NOTHING;
	case ENVELOPE_NONE:
		return HANDLED_CLOSE;
	case ENVELOPE_BROKEN:
		call_refuse(&call, STATUS_BAD_REQUEST, "a request must be [0, msgid, method, params]");
		return HANDLED_CLOSE;
	case ENVELOPE_REQUEST:
		break;
	}
	return handling_end(&call, dispatch(&call, name));
}
