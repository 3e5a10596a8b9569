/* gate_intake.c: see gate_intake.h. What becomes of a refusal or a reply is a table by the message's origin. */
#include "net/gate_intake.h"

#include "net/codec_read.h"
#include "net/gate_ask.h"

/* ---- answers ---- */

static void
answer_send(struct gate_intake *in, const struct raw_header *header, const struct raw_part *parts, int parts_n)
{
	/* Whether nanomsg has a connection for it is not said; a client without an answer asks again. */
	raw_send(in->events->socket, header, parts, parts_n);
}

/* Each may answer; returns whether the reply was of the right shape. `head` outlives the parts. */
struct answer {
	struct raw_part parts[FRAME_ANSWER_PARTS];
	int parts_n; /* 0: nobody is answered */
	uint8_t head[FRAME_REFUSAL_BYTES_MAX];
	uint8_t position[SPOOL_POSITION_BYTES_MAX];
};

static void
refusal_send(struct gate_intake *in, bool events, const struct raw_header *header, enum status status, const char *sentence)
{
	struct answer a;
	const char *name = status_name(status);
	struct bytes code = { (const uint8_t *)name, (uint32_t)strlen(name) };
	struct bytes message = { (const uint8_t *)sentence, (uint32_t)strlen(sentence) };
	a.parts_n = frame_refusal(a.head, events, code, message, (struct bytes){ NULL, 0 }, a.parts);
	answer_send(in, header, a.parts, a.parts_n);
}

static void
events_refused(struct gate_intake *in, const struct raw_header *header, enum status status, const char *sentence)
{
	refusal_send(in, true, header, status, sentence);
	in->counters->refused++;
}

static bool
events_result(struct gate_intake *in, const struct gate_request *request, struct bytes result, struct answer *a)
{
	struct frame_outcomes outcomes;
	if (!frame_outcomes_read(result, &outcomes))
		return false;
	frame_answer(&outcomes, a->parts);
	a->parts_n = FRAME_ANSWER_PARTS;
	in->counters->answered++;
	return true;
}

static void
events_error(struct gate_intake *in, const struct gate_request *request, const struct frame_reply *reply, struct answer *a)
{
	a->parts_n = frame_refusal(a->head, true, reply->code, reply->message, reply->detail, a->parts);
	in->counters->rejected++;
}

/* ---- fire and forget: the same, but nobody is told ---- */

static void
push_refused(struct gate_intake *in, const struct raw_header *header, enum status status, const char *sentence)
{
	in->counters->push_refused++;
}

static bool
push_result(struct gate_intake *in, const struct gate_request *request, struct bytes result, struct answer *a)
{
	struct frame_outcomes outcomes;
	in->counters->push_posted++;
	return frame_outcomes_read(result, &outcomes);
}

static void
push_error(struct gate_intake *in, const struct gate_request *request, const struct frame_reply *reply, struct answer *a)
{
	in->counters->push_rejected++;
}

/* ---- questions ---- */

static void
ask_refused(struct gate_intake *in, const struct raw_header *header, enum status status, const char *sentence)
{
	refusal_send(in, false, header, status, sentence);
	in->counters->asks_refused++;
}

/* What the spool knows of the source, whose name is one msgpack string. */
static void
position_answer(struct gate_intake *in, struct bytes source_object, const struct bytes *server_says, struct answer *a)
{
	struct reader r = { source_object.at, source_object.at + source_object.n };
	struct bytes source = { NULL, 0 };
	reader_str(&r, &source);
	if (server_says)
		gate_spool_learn(in->spool, source, *server_says);
	uint32_t n = gate_spool_position(in->spool, source, server_says != NULL, a->position);
	a->parts_n = frame_told("position", (struct bytes){ a->position, n }, a->parts);
}

static bool
ask_result(struct gate_intake *in, const struct gate_request *request, struct bytes result, struct answer *a)
{
	if (!frame_is_map(result))
		return false;
	if (in->spool)
		position_answer(in, request->body, &result, a);
	else
		a->parts_n = frame_told("position", result, a->parts);
	return true;
}

static void
ask_error(struct gate_intake *in, const struct gate_request *request, const struct frame_reply *reply, struct answer *a)
{
	a->parts_n = frame_refusal(a->head, false, reply->code, reply->message, reply->detail, a->parts);
	in->counters->asks_refused++;
}

static void
status_tell(struct gate_intake *in, const struct raw_header *header)
{
	uint8_t map[GATE_COUNTERS_MAP_BYTES];
	struct gate_counters counters;
	struct answer a;
	gate_intake_count(in, &counters);
	size_t n = gate_counters_map(&counters, map);
	a.parts_n = frame_told("gate", (struct bytes){ map, (uint32_t)n }, a.parts);
	answer_send(in, header, a.parts, a.parts_n);
}

/* ---- a batch of the spool: its events' outcomes are for the spool ---- */

static bool
spool_result(struct gate_intake *in, const struct gate_request *request, struct bytes result, struct answer *a)
{
	return gate_spool_result(in->spool, request, result);
}

static void
spool_error(struct gate_intake *in, const struct gate_request *request, const struct frame_reply *reply, struct answer *a)
{
	gate_spool_error(in->spool, request, reply);
}

static const struct way {
	void (*refused)(struct gate_intake *, const struct raw_header *, enum status, const char *sentence); /* here */
	bool (*result)(struct gate_intake *, const struct gate_request *, struct bytes result, struct answer *); /* false: not of the right shape */
	void (*error)(struct gate_intake *, const struct gate_request *, const struct frame_reply *, struct answer *); /* the server's last word */
} ways[] = {
	[ORIGIN_EVENTS] = { events_refused, events_result, events_error },
	[ORIGIN_PUSH] = { push_refused, push_result, push_error },
	[ORIGIN_ASK] = { ask_refused, ask_result, ask_error },
	[ORIGIN_SPOOL] = { NULL, spool_result, spool_error }, /* it has passed the check */
};

enum server_use
gate_intake_reply(void *context, struct gate_request *request, const struct frame_reply *reply)
{
	struct gate_intake *in = context;
	const struct way *way = &ways[request->origin];
	struct answer a;
	a.parts_n = 0;
	if (reply->refused && frame_passes(reply->code))
		return SERVER_LATER;
	if (reply->refused)
		way->error(in, request, reply, &a);
	else if (!way->result(in, request, reply->result, &a))
		return SERVER_WRONG;
	if (a.parts_n)
		answer_send(in, &request->header, a.parts, a.parts_n);
	gate_queue_answered(in->queue, request, a.parts, a.parts_n);
	return SERVER_USED;
}

/* ---- in ---- */

/* Came again: the answer it waits for goes to where it asks from now, or is given once more. */
static void
take_again(struct gate_intake *in, struct gate_request *known, const struct raw_header *header)
{
	struct raw_part part = { known->answer, known->answer_n };
	in->counters->repeated++;
	if (known->state == REQUEST_ANSWERED)
		answer_send(in, header, &part, 1);
	else
		known->header = *header;
}

static void
position_tell(struct gate_intake *in, struct bytes source_object, const struct raw_header *header)
{
	struct answer a;
	position_answer(in, source_object, NULL, &a);
	answer_send(in, header, a.parts, a.parts_n);
}

void
gate_intake_line(struct gate_intake *in)
{
	bool lost = in->was_up && !in->counters->server_up;
	in->was_up = in->counters->server_up;
	if (!lost || !in->spool)
		return;
	for (uint64_t i = in->queue->first; i < in->queue->next; i++) {
		struct gate_request *r = gate_queue_at(in->queue, i);
		if (r->state == REQUEST_ANSWERED || r->origin != ORIGIN_ASK)
			continue;
		position_tell(in, r->body, &r->header);
		gate_queue_answered(in->queue, r, NULL, 0);
	}
}

/* A question that goes on to the server becomes a message of its own kind; any other one is answered. True: it is done with. */
static bool
take_ask(struct gate_intake *in, struct gate_message *m)
{
	struct ask_read ask;
	enum ask which = m->form == FRAME_POST_ONE && m->origin == ORIGIN_EVENTS ? gate_ask_read(m->at, m->n, &ask) : ASK_NOTHING;
	if (which == ASK_NOTHING)
		return false;
	in->counters->asks++;
	m->origin = ORIGIN_ASK;
	switch (which) {
	case ASK_POSITION:
		m->form = FRAME_POSITION;
		m->body = ask.source_object;
		if (!in->spool || in->counters->server_up)
			return false;
		position_tell(in, m->body, &m->header);
		return true;
	case ASK_STATUS:
		status_tell(in, &m->header);
		return true;
	default:
		ask_refused(in, &m->header, STATUS_BAD_REQUEST, ask.sentence);
		return true;
	}
}

/* Whether it is queued now; else it is answered, or dropped, and its bytes are the caller's to free. */
static bool
take(struct gate_intake *in, struct gate_message *m)
{
	const char *sentence = NULL;
	enum status status = frame_check(m->at, m->n, &m->form, &m->events_n, &sentence);
	m->body = (struct bytes){ m->at, (uint32_t)m->n };
	in->counters->bytes += m->n;
	if (status != STATUS_OK) {
		ways[m->origin].refused(in, &m->header, status, sentence);
		return false;
	}
	if (take_ask(in, m))
		return false;
	if (in->spool && m->origin != ORIGIN_ASK) {
		gate_spool_take(in->spool, &m->header, m->at, m->n);
		return false;
	}
	struct gate_request *known = gate_queue_find(in->queue, m);
	if (known)
		take_again(in, known, &m->header);
	else
		gate_queue_add(in->queue, m);
	return !known;
}

void
gate_intake_take(struct gate_intake *in, struct gate_message *m)
{
	if (!take(in, m))
		raw_free(m->at);
}

void
gate_intake_count(const struct gate_intake *in, struct gate_counters *counters)
{
	*counters = *in->counters;
	counters->in_flight = in->queue->unanswered;
	counters->in_flight_bytes = in->queue->bytes;
	feed_counters_read(in->feed_counters, counters);
	if (in->spool)
		gate_spool_count(in->spool, counters);
}

bool
gate_intake_room(const struct gate_intake *in)
{
	return gate_queue_room(in->queue) && (!in->spool || gate_spool_room(in->spool));
}

static int
door_receive(struct gate_intake *in, const struct gate_socket *door, enum gate_origin origin, uint64_t *count)
{
	for (int i = 0; door->socket >= 0 && i < INTAKE_RECEIVE_MAX && gate_intake_room(in); i++) {
		struct gate_message m = { .origin = origin };
		int got = raw_receive(door->socket, &m.header, &m.at, &m.n);
		if (got <= 0)
			return got;
		++*count;
		gate_intake_take(in, &m);
	}
	return 0;
}

int
gate_intake_receive(struct gate_intake *in)
{
	struct gate_counters *c = in->counters;
	bool push_first = in->push_first;
	in->push_first = !push_first;
	if (push_first && door_receive(in, in->push, ORIGIN_PUSH, &c->pushed) < 0)
		return -1;
	if (door_receive(in, in->events, ORIGIN_EVENTS, &c->messages) < 0)
		return -1;
	return push_first ? 0 : door_receive(in, in->push, ORIGIN_PUSH, &c->pushed);
}
