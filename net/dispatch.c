/* dispatch.c: frames to the engine and answers back. The drawing is in dispatch.h. */
#include "net/dispatch.h"
#include "net/codec_read.h"
#include "net/ring.h"

#include <stdlib.h>
#include <unistd.h>

#define FLAG_CLOSE   1u /* of a RING_REPLY: the connection ends after it */
#define RETRY_AFTER_MS 1000 /* `overloaded` of a journal that does not move */

/* A read that waits for a position (min_seq with wait_ms), or that is asked again. The frame is a copy. */
struct parked {
	unsigned origin;
	uint64_t token, wait_for;
	int64_t since_ms, until_ms;
	bool again; /* C5: it is asked until until_ms, then `overloaded` */
	struct handling handling;
	size_t n;
	uint8_t *frame;
};

struct job {
	uint64_t number, token;
	unsigned origin;
	uint32_t msgid;
	const char *method;
};

/* An extra loop, as the engine's loop sees it. */
struct remote {
	struct loop *loop;
	struct ring *in, *out;
	struct ring_record frame; /* taken from `in`, not answered yet */
	bool has_frame;
	struct handling handling;
	struct buffer reply; /* to that frame; or one that found `out` full */
	struct ring_record waiting;
	bool has_waiting;
	bool rang; /* something was put that is durable already: the journal's bell will not come for it */
};

struct dispatch {
	struct loop *loop, *loops;
	unsigned loops_n;
	/* an extra loop's ends */
	struct ring *to_engine, *from_engine;
	bool put; /* frames were handed over in this round */
	/* the first loop's */
	struct remote *remotes; /* by loop index; [0] is not used */
	struct job jobs[JOBS_MAX];
	unsigned jobs_n;
	/* any loop's */
	struct parked parked[PARKED_MAX];
	unsigned parked_n;
	struct buffer scratch;
};

struct dispatch *
dispatch_new(struct loop *loops, unsigned n, unsigned index)
{
	struct dispatch *d = calloc(1, sizeof *d);
	if (!d)
		return NULL;
	d->loops = loops;
	d->loops_n = n;
	d->loop = &loops[index];
	d->scratch.limit = REPLY_BYTES_MAX;
	if (index == 0)
		d->remotes = calloc(n, sizeof *d->remotes);
	else {
		d->to_engine = ring_new();
		d->from_engine = ring_new();
	}
	if (index == 0 ? !d->remotes : !d->to_engine || !d->from_engine) {
		dispatch_free(d);
		return NULL;
	}
	return d;
}

void
dispatch_join(struct dispatch *first, struct dispatch *extra)
{
	struct remote *r = &first->remotes[extra->loop->index];
	r->loop = extra->loop;
	r->in = extra->to_engine;
	r->out = extra->from_engine;
	r->reply.limit = REPLY_BYTES_MAX;
}

/* Sockets that were given away and never taken. */
static void
sockets_close(struct ring *ring)
{
	struct ring_record record;
	for (; ring_get(ring, &record); ring_release(ring))
		if (record.kind == RING_SOCKET)
			close((int)record.token);
}

void
dispatch_free(struct dispatch *d)
{
	if (!d)
		return;
	for (unsigned i = 0; i < d->parked_n; i++)
		free(d->parked[i].frame);
	for (unsigned i = 0; d->remotes && i < d->loops_n; i++)
		buffer_fini(&d->remotes[i].reply);
	if (d->from_engine) {
		sockets_close(d->from_engine);
		ring_free(d->from_engine);
	}
	if (d->to_engine)
		ring_free(d->to_engine);
	free(d->remotes);
	buffer_fini(&d->scratch);
	free(d);
}

/* ---- answers from elsewhere ---- */

static void
count(struct loop *l, const struct handling *h)
{
	counters_add(&l->counters, COUNTER_FRAMES, 1);
	if (h->refused)
		counters_add(&l->counters, COUNTER_REFUSED, 1);
}

static struct remote *
remote_of(struct dispatch *d, unsigned origin)
{
	return origin == d->loop->index ? NULL : &d->remotes[origin];
}

/* A reply that finds the ring full stays in `waiting`; nothing more is taken from that loop until it is gone. */
static void
remote_put(struct dispatch *d, struct remote *r, const struct ring_record *record)
{
	if (record->wait_for <= batcher_durable(d->loop->batcher))
		r->rang = true;
	if (ring_put(r->out, record))
		return;
	ensure(!r->has_waiting);
	r->waiting = *record;
	r->has_waiting = true;
}

static bool
remote_ready(struct remote *r)
{
	if (r->has_waiting && ring_put(r->out, &r->waiting)) {
		r->has_waiting = false;
		r->rang = true;
	}
	return !r->has_waiting;
}

/* Whether an answer for that loop can be taken now. */
static bool
origin_ready(struct dispatch *d, unsigned origin)
{
	struct remote *r = remote_of(d, origin);
	return !r || (remote_ready(r) && !r->has_frame);
}

/* The request goes along behind the reply of a read that must wait (C5); the record says so. */
static void
asked_append(const struct dispatch *d, struct buffer *reply, struct ring_record *record, const struct asked *asked)
{
	if (!asked || record->wait_for <= batcher_durable(d->loop->batcher))
		return;
	buffer_append(reply, asked->frame, asked->n);
	record->good_until_ms = asked->good_until_ms;
	record->asked_n = asked->n;
}

/* Sends what stands in *reply where it was asked; the caller has seen origin_ready(). asked: of a read under C5, else NULL. */
static void
answer(struct dispatch *d, unsigned origin, uint64_t token, struct buffer *reply, uint64_t wait_for, const struct asked *asked)
{
	struct remote *r = remote_of(d, origin);
	if (r) {
		if (reply != &r->reply) { /* `waiting` must outlive this call */
			r->reply.used = 0;
			buffer_append(&r->reply, reply->at, reply->used);
		}
		struct ring_record record = { .kind = RING_REPLY, .token = token, .wait_for = wait_for };
		asked_append(d, &r->reply, &record, asked);
		record.bytes = r->reply.at;
		record.n = r->reply.used;
		remote_put(d, r, &record);
	} else {
		struct connection *c = connection_find(d->loop, token);
		if (c)
			connection_reply(c, reply->at, reply->used, wait_for, asked);
	}
	reply->used = 0;
	reply->full = false;
}

/* What C5 needs to know of a reply; NULL: it does not fall under it. */
static const struct asked *
asked_of(const struct handling *h, int64_t since_ms, const uint8_t *frame, size_t n, struct asked *asked)
{
	if (h->good_until_ms == 0)
		return NULL;
	*asked = (struct asked){ h->good_until_ms, since_ms, frame, n };
	return asked;
}

/* ---- parked reads ---- */

static bool
park(struct dispatch *d, unsigned origin, uint64_t token, const struct handling *h, const uint8_t *frame, size_t n)
{
	uint8_t *copy = d->parked_n < PARKED_MAX ? malloc(n) : NULL;
	if (!copy) {
		counters_add(&d->loop->counters, COUNTER_PARKED_FULL, 1);
		return false;
	}
	memcpy(copy, frame, n);
	d->parked[d->parked_n++] = (struct parked){ .origin = origin, .token = token, .wait_for = h->wait_for,
		.since_ms = d->loop->now_ms, .until_ms = d->loop->now_ms + h->wait_ms, .handling = *h, .n = n, .frame = copy };
	return true;
}

static void
overloaded_put(struct loop *l, const uint8_t *frame, size_t n, struct buffer *out)
{
	uint32_t msgid;
	bool request = reader_msgid(frame, n, &msgid);
	ensure(request);
	methods_refuse(msgid, STATUS_OVERLOADED, "the disk does not keep up", RETRY_AFTER_MS, out);
	counters_add(&l->counters, COUNTER_OVERLOADED, 1);
}

void
dispatch_ask_again(struct connection *c, const struct asked *asked)
{
	struct loop *l = c->loop;
	struct dispatch *d = l->dispatch;
	counters_add(&l->counters, COUNTER_READS_AGAIN, 1);
	l->busy = true; /* the next round must come */
	c->owed++;
	if (park(d, l->index, connection_token(c), &(struct handling){ 0 }, asked->frame, asked->n)) {
		struct parked *p = &d->parked[d->parked_n - 1];
		p->again = true;
		p->since_ms = asked->since_ms;
		p->until_ms = asked->since_ms + ASK_MS_MAX;
		return;
	}
	d->scratch.used = 0;
	overloaded_put(l, asked->frame, asked->n, &d->scratch);
	answer(d, l->index, connection_token(c), &d->scratch, 0, NULL);
}

/* D19: it has waited long enough. */
static void
parked_overloaded(struct dispatch *d, struct parked *p)
{
	d->scratch.used = 0;
	overloaded_put(d->loop, p->frame, p->n, &d->scratch);
	answer(d, p->origin, p->token, &d->scratch, 0, NULL);
}

/* Asks again. True: it was answered, or nobody waits for it. */
static bool
parked_try(struct dispatch *d, struct parked *p)
{
	struct loop *l = d->loop;
	struct asked asked;
	p->handling.waited = l->now_ms >= p->until_ms;
	if (p->again && p->handling.waited) {
		parked_overloaded(d, p);
		return true;
	}
	d->scratch.used = 0;
	switch (methods_handle(l->service, l->index == 0, l->now_ms, p->frame, p->n, &d->scratch, &p->handling)) {
	case HANDLED_REPLY:
		count(l, &p->handling);
		answer(d, p->origin, p->token, &d->scratch, p->handling.wait_for,
		    asked_of(&p->handling, p->since_ms, p->frame, p->n, &asked));
		return true;
	case HANDLED_WAIT:
		p->wait_for = p->handling.wait_for;
		return false;
	case HANDLED_ENGINE: { /* on the way its cell got a hold that is due: the engine knows */
		struct connection *c = connection_find(l, p->token);
		struct ring_record frame = { .kind = RING_FRAME, .token = p->token, .bytes = p->frame, .n = p->n };
		if (c && !ring_put(d->to_engine, &frame))
			return false;
		d->put = true;
		return true;
	}
	case HANDLED_NOTHING:
	case HANDLED_LATER:
	case HANDLED_AGAIN:
	case HANDLED_CLOSE:
		break;
	}
	ensure(!"a waiting read ends in a reply");
	return true;
}

static void
parked_round(struct dispatch *d)
{
	uint64_t durable = batcher_durable(d->loop->batcher);
	bool begun = d->parked_n > 0 && loop_begin(d->loop);
	if (!begun && (d->parked_n == 0 || !batcher_stalled(d->loop->batcher)))
		return;
	for (unsigned i = 0; i < d->parked_n;) {
		struct parked *p = &d->parked[i];
		bool due = durable >= p->wait_for || d->loop->now_ms >= p->until_ms;
		due |= p->again;
		if (!due || !origin_ready(d, p->origin) || (begun && !parked_try(d, p))) {
			i++;
			continue;
		}
		if (!begun)
			parked_overloaded(d, p);
		free(p->frame);
		*p = d->parked[--d->parked_n];
	}
}

int64_t
dispatch_deadline(const struct loop *l)
{
	int64_t first = INT64_MAX;
	for (unsigned i = 0; i < l->dispatch->parked_n; i++)
		if (l->dispatch->parked[i].until_ms < first)
			first = l->dispatch->parked[i].until_ms;
	return first;
}

/* ---- jobs ---- */

static void
job_add(struct dispatch *d, unsigned origin, uint64_t token, const struct handling *h)
{
	ensure(d->jobs_n < JOBS_MAX); /* the engine answers `overloaded` long before */
	d->jobs[d->jobs_n++] = (struct job){ .number = h->job, .token = token, .origin = origin, .msgid = h->msgid,
		.method = h->method };
}

static void
job_end(struct dispatch *d, uint64_t number, const struct result *result)
{
	for (unsigned i = 0; i < d->jobs_n; i++) {
		if (d->jobs[i].number != number)
			continue;
		struct job job = d->jobs[i];
		d->jobs[i] = d->jobs[--d->jobs_n];
		d->scratch.used = 0;
		methods_finish(d->loop->service, job.msgid, job.method, result, &d->scratch);
		answer(d, job.origin, job.token, &d->scratch, result->seq, NULL);
		return;
	}
}

/* One slice a round, so that no client waits for more than a slice. */
static void
jobs_round(struct dispatch *d)
{
	struct engine *engine = d->loop->service->engine;
	struct result result;
	uint64_t number;
	if (!engine_job_waiting(engine) || !loop_begin(d->loop) || !batcher_room(d->loop->batcher))
		return;
	for (unsigned i = 0; i < d->jobs_n; i++)
		if (!origin_ready(d, d->jobs[i].origin))
			return; /* its answer could find no place */
	if (engine_job_run(engine, &number, &result))
		job_end(d, number, &result);
	if (engine_job_waiting(engine))
		d->loop->busy = true;
}

/* ---- frames ---- */

/*
 * The batch's stamp is fresh enough for another n bytes of frames, and the batch takes a step; a full one is handed over and the
 * next begun. On an extra loop only the time is taken.
 */
static bool
engine_ready(struct loop *l, size_t n)
{
	l->begun_bytes += n;
	if ((!l->begun || l->begun_bytes > STAMP_BYTES_MAX) && !loop_begin(l))
		return false;
	if (l->index > 0 || batcher_room(l->batcher))
		return true;
	batcher_end(l->batcher);
	return loop_begin(l) && batcher_room(l->batcher);
}

/* The journal has not moved for long and nothing can be taken: say so. */
static bool
overloaded(struct loop *l, const uint8_t *frame, size_t n, struct buffer *out)
{
	uint32_t msgid;
	if (!batcher_stalled(l->batcher) || !reader_msgid(frame, n, &msgid))
		return false;
	overloaded_put(l, frame, n, out);
	return true;
}

static enum dispatched
stall(struct connection *c, enum stall why)
{
	c->stall = why;
	return DISPATCH_STALL;
}

static enum dispatched
hand_over(struct connection *c, const uint8_t *frame, size_t n)
{
	struct dispatch *d = c->loop->dispatch;
	if (!ring_put(d->to_engine, &(struct ring_record){ .kind = RING_FRAME, .token = connection_token(c), .bytes = frame, .n = n }))
		return stall(c, STALL_RING);
	d->put = true;
	c->owed++;
	return DISPATCH_DONE;
}

enum dispatched
dispatch_frame(struct connection *c, const uint8_t *frame, size_t n)
{
	struct loop *l = c->loop;
	struct dispatch *d = l->dispatch;
	struct handling *h = &c->handling;
	if (!engine_ready(l, n)) {
		if (c->resuming || !overloaded(l, frame, n, &c->out))
			return stall(c, STALL_ENGINE);
		connection_mark(c, 0);
		return DISPATCH_DONE;
	}
	if (!c->resuming)
		*h = (struct handling){ 0 };
	for (;;) {
		enum handled handled = methods_handle(l->service, l->index == 0, l->now_ms, frame, n, &c->out, h);
		c->resuming = handled == HANDLED_AGAIN;
		switch (handled) {
		case HANDLED_REPLY:
			count(l, h);
			if (h->good_until_ms)
				connection_mark_read(c, h->reply_at, h->wait_for, &(struct asked){ h->good_until_ms, l->now_ms, frame, n });
			else
				connection_mark(c, h->wait_for);
			return DISPATCH_DONE;
		case HANDLED_NOTHING:
			counters_add(&l->counters, COUNTER_NOTIFICATIONS_IGNORED, 1);
			return DISPATCH_DONE;
		case HANDLED_ENGINE:
			return hand_over(c, frame, n);
		case HANDLED_LATER:
			count(l, h);
			job_add(d, l->index, connection_token(c), h);
			c->owed++;
			return DISPATCH_DONE;
		case HANDLED_AGAIN:
			if (!engine_ready(l, 0))
				return stall(c, STALL_ENGINE);
			continue;
		case HANDLED_WAIT:
			if (park(d, l->index, connection_token(c), h, frame, n)) {
				c->owed++;
				return DISPATCH_DONE;
			}
			h->waited = true;
			continue;
		case HANDLED_CLOSE:
			counters_add(&l->counters, COUNTER_FRAMES_BROKEN, 1);
			connection_mark(c, 0);
			return DISPATCH_CLOSE;
		}
	}
}

/* ---- the engine's side of the rings ---- */

/* The frame is done with; its reply, if it has one, goes back. An empty reply only settles what is owed. */
static void
remote_done(struct dispatch *d, struct remote *r, uint64_t wait_for, uint32_t flags)
{
	struct ring_record record = { .kind = RING_REPLY, .flags = flags, .token = r->frame.token, .wait_for = wait_for };
	struct asked asked;
	asked_append(d, &r->reply, &record, asked_of(&r->handling, 0, r->frame.bytes, r->frame.n, &asked));
	record.bytes = r->reply.at;
	record.n = r->reply.used;
	r->has_frame = false;
	ring_release(r->in);
	remote_put(d, r, &record);
}

static void
remote_later(struct remote *r)
{
	r->has_frame = false;
	ring_release(r->in);
}

/* One frame of an extra loop. False: it waits for the engine. */
static bool
remote_frame(struct dispatch *d, struct remote *r)
{
	struct loop *l = d->loop;
	struct handling *h = &r->handling;
	if (!engine_ready(l, r->frame.n)) {
		if (h->resume > 0 || !overloaded(l, r->frame.bytes, r->frame.n, &r->reply))
			return false;
		remote_done(d, r, 0, 0);
		return true;
	}
	for (;;) {
		switch (methods_handle(l->service, true, l->now_ms, r->frame.bytes, r->frame.n, &r->reply, h)) {
		case HANDLED_REPLY:
			count(l, h);
			remote_done(d, r, h->wait_for, 0);
			return true;
		case HANDLED_NOTHING:
			counters_add(&l->counters, COUNTER_NOTIFICATIONS_IGNORED, 1);
			remote_done(d, r, 0, 0);
			return true;
		case HANDLED_LATER:
			count(l, h);
			job_add(d, r->loop->index, r->frame.token, h);
			remote_later(r);
			return true;
		case HANDLED_WAIT:
			if (park(d, r->loop->index, r->frame.token, h, r->frame.bytes, r->frame.n)) {
				remote_later(r);
				return true;
			}
			h->waited = true;
			continue;
		case HANDLED_AGAIN:
			if (!engine_ready(l, 0))
				return false;
			continue;
		case HANDLED_CLOSE:
			counters_add(&l->counters, COUNTER_FRAMES_BROKEN, 1);
			remote_done(d, r, 0, FLAG_CLOSE);
			return true;
		case HANDLED_ENGINE:
			ensure(!"this is the engine's loop");
		}
	}
}

static void
remote_round(struct dispatch *d, struct remote *r)
{
	unsigned n = 0;
	for (; n < REMOTE_FRAMES_MAX && remote_ready(r); n++) {
		if (!r->has_frame) {
			if (!ring_get(r->in, &r->frame))
				return;
			r->has_frame = true;
			r->handling = (struct handling){ 0 };
			r->reply.used = 0;
		}
		if (!remote_frame(d, r))
			return;
	}
	if (n == REMOTE_FRAMES_MAX)
		d->loop->busy = true;
}

/* ---- the extra loop's side ---- */

static void
replies_take(struct dispatch *d)
{
	struct ring_record record;
	for (; ring_get(d->from_engine, &record); ring_release(d->from_engine)) {
		if (record.kind == RING_SOCKET) {
			connection_open(d->loop, (int)record.token);
			continue;
		}
		struct connection *c = connection_find(d->loop, record.token);
		if (!c)
			continue;
		size_t n = record.n - record.asked_n;
		struct asked asked = { record.good_until_ms, clock_now_ms(&d->loop->clock), record.bytes + n, record.asked_n };
		connection_reply(c, record.bytes, n, record.wait_for, record.asked_n ? &asked : NULL);
		if (record.flags & FLAG_CLOSE)
			connection_finish(c);
	}
}

/* ---- the round ---- */

void
dispatch_round(struct loop *l)
{
	struct dispatch *d = l->dispatch;
	if (l->index > 0) {
		replies_take(d);
	} else {
		for (unsigned i = 1; i < d->loops_n; i++)
			remote_round(d, &d->remotes[i]);
		jobs_round(d);
	}
	parked_round(d);
}

void
dispatch_bells(struct loop *l)
{
	struct dispatch *d = l->dispatch;
	if (l->index > 0) {
		if (d->put || ring_was_full(d->from_engine))
			loop_ring(&d->loops[0]);
		d->put = false;
		return;
	}
	for (unsigned i = 1; i < d->loops_n; i++) {
		struct remote *r = &d->remotes[i];
		if (r->rang || ring_was_full(r->in))
			loop_ring(r->loop);
		r->rang = false;
	}
}

bool
dispatch_quiet(const struct loop *l)
{
	const struct dispatch *d = l->dispatch;
	for (unsigned i = 1; d->remotes && i < d->loops_n; i++)
		if (d->remotes[i].has_frame || d->remotes[i].has_waiting)
			return false;
	return true;
}

bool
dispatch_socket(struct loop *first, unsigned to, int fd)
{
	struct remote *r = &first->dispatch->remotes[to];
	if (!remote_ready(r) || !ring_put(r->out, &(struct ring_record){ .kind = RING_SOCKET, .token = (uint64_t)fd }))
		return false;
	r->rang = true;
	return true;
}
