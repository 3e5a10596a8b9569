/*
 * methods_command.c: the methods that execute a command: what changes something, and digest. Runs on the engine's thread only.
 *
 * C1: read_only and overloaded are asked after the params are known to be good (D26) and before the engine is.
 * C2: a request of many parts does at least one part per call, asks for room before each further one, and goes on where it
 *     stopped: handling->resume counts the parts done, their answers already stand in `out`.
 */
#include "core/ahead.h"
#include "net/methods_part.h"

enum handled
handle_command(struct call *call)
{
	struct command decoded;
	const struct command *command = call->request ? &call->request->command : &decoded;
	struct result result;
	enum handled handled;
	if (!call->request && call->method->decode(&call->params, call->params_n, call->space, &decoded) != STATUS_OK)
		return call_bad(call);
	if (call->method->command && call_read_only(call, &handled))
		return handled;
	if (call_overloaded(call, &handled))
		return handled;
	if (call->request && call->request->found)
		engine_hint(call->service->engine, call->request->found);
	engine_execute(call->service->engine, command, &result);
	call_wait_engine(call);
	if (result.job != 0) {
		call->handling->job = result.job;
		return HANDLED_LATER;
	}
	if (result.status != STATUS_OK)
		return call_refuse_result(call, &result);
	uint8_t *head = buffer_room(call->out, WIRE_HEAD_BYTES_MAX);
	if (head)
		call->out->used += (size_t)(wire_head(head, call->msgid) - head);
	call->method->result(call->out, &result);
	return HANDLED_REPLY;
}

/* ---- requests of many parts: [seq, [answer, ...]] ---- */

/*
 * Writes the reply's head at the first call; at a further one passes over the parts that are done. seq stands in fixed
 * width, since it is known only at the end.
 */
static void
parts_begin(struct call *call, struct reader *parts, uint32_t parts_n)
{
	uint8_t *room, *p;
	if (call->handling->resume > 0) {
		parts->at = parts->end - call->handling->resume_left;
		return;
	}
	room = buffer_room(call->out, WIRE_HEAD_BYTES_MAX + 1 + WIRE_FIXED_BYTES + WIRE_INT_BYTES_MAX);
	if (!room)
		return;
	p = wire_head(room, call->msgid);
	*p++ = 0x92;
	p = wire_fixed(p, 0);
	p = wire_array(p, parts_n);
	call->out->used += (size_t)(p - room);
}

/* C2: true when part i must wait for the next batch. `look`: at the time now, since the part before was a long one. */
static bool
parts_pause(struct call *call, const struct reader *parts, uint32_t i, uint32_t first, bool look)
{
	if (i == first || call_room(call, look ? 0 : i))
		return false;
	call->handling->resume = i;
	call->handling->resume_left = (size_t)(parts->end - parts->at);
	call_wait_engine(call);
	return true;
}

static enum handled
parts_end(struct call *call)
{
	uint8_t scratch[WIRE_HEAD_BYTES_MAX];
	size_t head = (size_t)(wire_head(scratch, call->msgid) - scratch);
	call->handling->resume = 0;
	call_wait_engine(call);
	if (!call->out->full)
		wire_fixed(call->out->at + call->handling->reply_at + head + 1, call->handling->wait_for);
	return HANDLED_REPLY;
}

static void
reserve_part(struct call *call, struct reader *parts)
{
	struct reader before = *parts;
	struct command command;
	struct result result;
	uint32_t n;
	enum status status;
	if (reader_array(parts, &n))
		status = params_reserve(parts, n, call->space, &command);
	else
		status = params_refuse(call->space, "a reservation must be [id, lines, options?]");
	*parts = before;
	reader_skip(parts);
	if (status != STATUS_OK) {
		put_error(call->out, status, call->space->text, NULL);
		return;
	}
	engine_execute(call->service->engine, &command, &result);
	if (result.status == STATUS_OK)
		put_reservation(call->out, true, &result);
	else
		put_error(call->out, result.status, result.message, &result);
}

enum handled
handle_reserve_many(struct call *call)
{
	uint32_t n, first = call->handling->resume;
	enum handled handled;
	if (params_count(call->space, call->params_n, 1, 1) != STATUS_OK)
		return call_bad(call);
	if (!reader_array(&call->params, &n)) {
		params_refuse(call->space, "params[0] must be an array of reservations [id, lines, options?]");
		return call_bad(call);
	}
	if (n > BATCH_MAX)
		return call_refuse(call, STATUS_TOO_LARGE, "at most 1000 reservations in one reserve_many");
	if (first == 0 && (call_read_only(call, &handled) || call_overloaded(call, &handled)))
		return handled;
	parts_begin(call, &call->params, n);
	for (uint32_t i = first; i < n; i++) {
		if (parts_pause(call, &call->params, i, first, false))
			return HANDLED_AGAIN;
		reserve_part(call, &call->params);
	}
	return parts_end(call);
}

/* A block of events, decoded before their turn, so that what they will touch is on its way (core/ahead.h). */
struct events_ahead {
	struct reader parts;
	uint32_t left; /* not decoded yet */
	unsigned next, n; /* of the block */
	struct ahead walks[AHEAD_BLOCK];
	struct event_ahead {
		struct reader from;
		bool whole;
		struct event_command event;
	} at[AHEAD_BLOCK];
};

static void
events_decode(const struct call *call, struct events_ahead *a)
{
	a->next = 0;
	a->n = a->left < AHEAD_BLOCK ? a->left : AHEAD_BLOCK;
	a->left -= a->n;
	for (unsigned i = 0; i < a->n; i++) {
		struct event_ahead *ahead = &a->at[i];
		ahead->from = a->parts;
		ahead->whole = event_decode(&a->parts, &ahead->event);
		ahead_begin_event(call->service->engine, &a->walks[i], ahead->event.sku, ahead->event.location);
	}
	ahead_walk(call->service->engine, a->walks, a->n);
}

static void
event_part(struct call *call, const struct event_command *event, bool whole)
{
	struct command command = { .kind = COMMAND_EVENT };
	struct result result;
	if (!whole) {
		put_outcome_rejected(call->out, STATUS_BAD_REQUEST, "the message ends inside an event");
	} else if (event->raw.n > EVENT_BYTES_MAX) {
		put_outcome_rejected(call->out, STATUS_TOO_LARGE, "an event must be at most 2048 bytes");
	} else if (event->source.n == 0) { /* R14: nobody to ask, nothing to keep */
		put_outcome_rejected(call->out, event->defect, event->defect_message);
	} else {
		command.event = *event;
		engine_execute(call->service->engine, &command, &result);
		put_outcome(call->out, &result);
	}
}

/* The events of params[0]: an array, or one event alone. */
static bool
post_events(struct call *call, uint32_t *n)
{
	struct reader at = call->params;
	*n = 1;
	return reader_array(&call->params, n) || reader_map(&at, &(uint32_t){ 0 });
}

enum handled
handle_post(struct call *call)
{
	uint32_t n, first = call->handling->resume;
	enum handled handled;
	if (params_count(call->space, call->params_n, 1, 1) != STATUS_OK)
		return call_bad(call);
	if (!post_events(call, &n)) {
		params_refuse(call->space, "params[0] must be an array of events");
		return call_bad(call);
	}
	if (n > EVENTS_MAX)
		return call_refuse(call, STATUS_TOO_LARGE, "at most 10000 events in one post");
	if (first == 0 && call_read_only(call, &handled))
		return handled;
	parts_begin(call, &call->params, n);
	struct events_ahead ahead;
	ahead.parts = call->params;
	ahead.left = n - first;
	ahead.next = ahead.n = 0;
	bool counted = false; /* a count walks over all kept deltas of its cell */
	for (uint32_t i = first; i < n; i++) {
		if (ahead.next == ahead.n)
			events_decode(call, &ahead);
		const struct event_ahead *at = &ahead.at[ahead.next];
		if (parts_pause(call, &at->from, i, first, counted))
			return HANDLED_AGAIN;
		engine_hint(call->service->engine, &ahead.walks[ahead.next++]);
		event_part(call, &at->event, at->whole);
		counted = at->whole && at->event.kind == EVENT_COUNT;
	}
	return parts_end(call);
}

/* ---- policy ---- */

static enum handled
policy_set(struct call *call)
{
	struct command command;
	struct result result = { .status = STATUS_OK };
	enum handled handled;
	bool empty;
	if (params_policy_set(&call->params, call->space, &command, &empty) != STATUS_OK)
		return call_bad(call);
	if (call_read_only(call, &handled))
		return handled;
	if (empty)
		result.seq = engine_seq(call->service->engine);
	else
		engine_execute(call->service->engine, &command, &result);
	call_wait_engine(call);
	if (result.job != 0) {
		call->handling->job = result.job;
		return HANDLED_LATER;
	}
	methods_finish(call->service, call->msgid, call->method->name, &result, call->out);
	call->handling->refused = result.status != STATUS_OK;
	return HANDLED_REPLY;
}

enum handled
handle_policy(struct call *call)
{
	static const struct key keys[] = { KEY("set"), KEY("get") };
	uint32_t pairs;
	int hint = 0;
	if (params_count(call->space, call->params_n, 1, 1) != STATUS_OK)
		return call_bad(call);
	if (!reader_map(&call->params, &pairs))
		pairs = 0;
	for (; pairs > 0; pairs--) {
		int key = reader_key(&call->params, keys, 2, &hint);
		if (reader_nil(&call->params))
			continue;
		if (key >= 0)
			return key == 0 ? policy_set(call) : read_policy(call);
		if (!reader_skip(&call->params))
			break;
	}
	params_refuse(call->space, "params[0] must be {set: {...}} or {get: {...}}");
	return call_bad(call);
}

/* ---- quarantine ---- */

struct quarantine_ask {
	struct bytes op;
	int64_t after, limit;
	bool has_ids;
	struct reader ids;
	uint32_t ids_n;
};

/* Every id is looked at before anything is done: a request succeeds wholly or changes nothing (D10). */
static enum status
quarantine_ids(struct call *call, struct quarantine_ask *ask)
{
	int64_t number;
	if (!reader_array(&call->params, &ask->ids_n) || ask->ids_n > QUARANTINE_IDS_MAX)
		return params_refuse(call->space, "ids must be an array of at most %d numbers", QUARANTINE_IDS_MAX);
	ask->has_ids = true;
	ask->ids = call->params;
	for (uint32_t i = 0; i < ask->ids_n; i++) {
		if (!reader_int_in(&call->params, 0, INT64_MAX, &number))
			return params_refuse(call->space, "ids[%u] must be the number of a quarantined event", i);
	}
	return STATUS_OK;
}

enum { OP, AFTER, LIMIT, IDS };

static enum status
quarantine_field(struct call *call, int key, struct quarantine_ask *ask)
{
	struct reader *r = &call->params;
	switch (key) {
	case OP:
		return params_text(call->space, r, "op", NAME_BYTES_MAX, &ask->op);
	case AFTER:
		if (!reader_int_in(r, 0, INT64_MAX, &ask->after))
			return params_refuse(call->space, "after must be an integer from 0");
		return STATUS_OK;
	case LIMIT:
		if (!reader_int_in(r, 1, QUARANTINE_LIST_MAX, &ask->limit))
			return params_refuse(call->space, "limit must be an integer 1..%d", QUARANTINE_LIST_MAX);
		return STATUS_OK;
	case IDS:
		return quarantine_ids(call, ask);
	default:
		return reader_skip(r) ? STATUS_OK : params_refuse(call->space, "the message ends inside a map");
	}
}

static enum status
quarantine_decode(struct call *call, struct quarantine_ask *ask)
{
	static const struct key keys[] = { [OP] = KEY("op"), [AFTER] = KEY("after"), [LIMIT] = KEY("limit"), [IDS] = KEY("ids") };
	uint32_t pairs;
	int hint = 0;
	enum status status = params_count(call->space, call->params_n, 1, 1);
	if (status != STATUS_OK)
		return status;
	if (!reader_map(&call->params, &pairs))
		return params_refuse(call->space, "params[0] must be a map {op: \"list\", \"replay\" or \"drop\", ...}");
	for (; pairs > 0 && status == STATUS_OK; pairs--) {
		int key = reader_key(&call->params, keys, 4, &hint);
		if (!reader_nil(&call->params))
			status = quarantine_field(call, key, ask);
	}
	return status;
}

static void
drop_part(struct call *call, uint64_t number)
{
	struct command command = { .kind = COMMAND_QUARANTINE_DROP, .quarantine = { .number = number } };
	struct result result;
	engine_execute(call->service->engine, &command, &result);
	if (result.status == STATUS_OK)
		put_text(call->out, "dropped");
	else
		put_outcome(call->out, &result);
}

/* The bytes are copied first: the engine may write the item's slot while it decides. */
static void
replay_part(struct call *call, uint64_t number)
{
	struct engine *engine = call->service->engine;
	struct event_command event;
	struct quarantine_view item;
	uint8_t raw[EVENT_BYTES_MAX];
	if (!engine_quarantine_item(engine, number, &item)) {
		put_outcome_rejected(call->out, STATUS_NOT_FOUND, "no quarantined event has this number");
		return;
	}
	ensure(item.raw.n <= sizeof raw);
	memcpy(raw, item.raw.at, item.raw.n);
	struct reader r = { raw, raw + item.raw.n };
	if (!event_decode(&r, &event) || event.source.n == 0) {
		put_outcome_rejected(call->out, STATUS_INTERNAL, "the kept bytes are no event");
		return;
	}
	struct command command = { .kind = COMMAND_QUARANTINE_REPLAY, .quarantine = { number, &event } };
	struct result result;
	engine_execute(engine, &command, &result);
	put_outcome(call->out, &result);
}

static enum handled
quarantine_parts(struct call *call, struct quarantine_ask *ask, void (*part)(struct call *, uint64_t))
{
	uint32_t first = call->handling->resume;
	enum handled handled;
	if (!ask->has_ids) {
		params_refuse(call->space, "ids is missing");
		return call_bad(call);
	}
	if (first == 0 && call_read_only(call, &handled))
		return handled;
	parts_begin(call, &ask->ids, ask->ids_n);
	for (uint32_t i = first; i < ask->ids_n; i++) {
		int64_t number = 0;
		if (parts_pause(call, &ask->ids, i, first, false))
			return HANDLED_AGAIN;
		reader_int(&ask->ids, &number);
		part(call, (uint64_t)number);
	}
	return parts_end(call);
}

static bool
op_is(const struct quarantine_ask *ask, const char *word)
{
	return bytes_equal(ask->op, (struct bytes){ (const uint8_t *)word, (uint32_t)strlen(word) });
}

enum handled
handle_quarantine(struct call *call)
{
	struct quarantine_ask ask = { .limit = 100 };
	if (quarantine_decode(call, &ask) != STATUS_OK)
		return call_bad(call);
	if (op_is(&ask, "list"))
		return read_quarantine(call, (uint64_t)ask.after, (uint32_t)ask.limit);
	if (op_is(&ask, "replay"))
		return quarantine_parts(call, &ask, replay_part);
	if (op_is(&ask, "drop"))
		return quarantine_parts(call, &ask, drop_part);
	params_refuse(call->space, op_is(&ask, "mend") ? "op \"mend\": not supported yet" : "op must be \"list\", \"replay\" or \"drop\"");
	return call_bad(call);
}
