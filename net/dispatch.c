/*
 * dispatch.c: frames to the engine and answers back: rings and rounds; what is answered later is in dispatch_wait.c. The drawing is in
 * dispatch.h.
 */
#include "net/dispatch_part.h"
#include "net/codec_read.h"
#include "net/feed.h"

#include <stdlib.h>
#include <unistd.h>

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

/* The queue is too old for new holds: says so before anything else is looked at. */
static bool
refused(struct loop *l, const uint8_t *frame, size_t n, const struct request *request, struct buffer *out)
{
	if (!l->turn.refuse || !(request ? methods_refuse_request(request, out) : methods_refuse_hold(frame, n, out)))
		return false;
	counters_add(&l->counters, COUNTER_HOLDS_REFUSED, 1);
	return true;
}

/* The journal has not moved for long and nothing can be taken: say so. */
static bool
overloaded(struct loop *l, const uint8_t *frame, size_t n, struct buffer *out)
{
	uint32_t msgid;
	if (!batcher_stalled(l->batcher) || !reader_msgid(frame, n, &msgid))
		return false;
	dispatch_overloaded_put(l, frame, n, out);
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
	if (!ring_put(d->to_engine, &(struct ring_record){ .kind = RING_FRAME, .token = connection_token(c), .since_ns = c->since_ns,
	        .bytes = frame, .n = n }))
		return stall(c, STALL_RING);
	d->put = true;
	c->owed++;
	return DISPATCH_DONE;
}

static enum dispatched
hand_to_feed(struct connection *c, const uint8_t *frame, size_t n)
{
	c->followed = true;
	if (!feed_hand(c->loop->feed, connection_token(c), frame, n))
		return stall(c, STALL_RING);
	c->owed++;
	return DISPATCH_DONE;
}

enum dispatched
dispatch_frame(struct connection *c, const uint8_t *frame, size_t n, const struct request *request)
{
	struct loop *l = c->loop;
	struct dispatch *d = l->dispatch;
	struct handling *h = &c->handling;
	if (!c->resuming && refused(l, frame, n, request, &c->out)) {
		connection_mark(c, 0);
		return DISPATCH_DONE;
	}
	if (!engine_ready(l, n)) {
		if (c->resuming || !overloaded(l, frame, n, &c->out))
			return stall(c, STALL_ENGINE);
		connection_mark(c, 0);
		return DISPATCH_DONE;
	}
	if (!c->resuming)
		*h = (struct handling){ 0 };
	for (;;) {
		enum place place = loop_place(l);
		enum handled handled = request ? methods_execute(l->service, place, l->now_ms, request, &c->out, h)
		                               : methods_handle(l->service, place, l->now_ms, frame, n, &c->out, h);
		c->resuming = handled == HANDLED_AGAIN;
		switch (handled) {
		case HANDLED_REPLY:
			dispatch_count(l, h);
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
		case HANDLED_FEED:
			return hand_to_feed(c, frame, n);
		case HANDLED_LATER:
			dispatch_count(l, h);
			dispatch_job_add(d, l->index, connection_token(c), h);
			c->owed++;
			return DISPATCH_DONE;
		case HANDLED_AGAIN:
			if (!engine_ready(l, 0))
				return stall(c, STALL_ENGINE);
			if (loop_turn_look(l))
				return DISPATCH_TURN_OVER;
			continue;
		case HANDLED_WAIT:
			if (dispatch_park(d, l->index, connection_token(c), h, frame, n)) {
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
	dispatch_asked_append(d, &r->reply, &record, dispatch_asked_of(&r->handling, 0, r->frame.bytes, r->frame.n, &asked));
	record.bytes = r->reply.at;
	record.n = r->reply.used;
	r->has_frame = false;
	ring_release(r->in);
	dispatch_remote_put(r, &record);
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
	if (h->resume == 0 && refused(l, r->frame.bytes, r->frame.n, NULL, &r->reply)) {
		remote_done(d, r, 0, 0);
		return true;
	}
	if (!engine_ready(l, r->frame.n)) {
		if (h->resume > 0 || !overloaded(l, r->frame.bytes, r->frame.n, &r->reply))
			return false;
		remote_done(d, r, 0, 0);
		return true;
	}
	for (;;) {
		switch (methods_handle(l->service, PLACE_ENGINE, l->now_ms, r->frame.bytes, r->frame.n, &r->reply, h)) {
		case HANDLED_REPLY:
			dispatch_count(l, h);
			remote_done(d, r, h->wait_for, 0);
			return true;
		case HANDLED_NOTHING:
			counters_add(&l->counters, COUNTER_NOTIFICATIONS_IGNORED, 1);
			remote_done(d, r, 0, 0);
			return true;
		case HANDLED_LATER:
			dispatch_count(l, h);
			dispatch_job_add(d, r->loop->index, r->frame.token, h);
			remote_later(r);
			return true;
		case HANDLED_WAIT:
			if (dispatch_park(d, r->loop->index, r->frame.token, h, r->frame.bytes, r->frame.n)) {
				remote_later(r);
				return true;
			}
			h->waited = true;
			continue;
		case HANDLED_AGAIN:
			if (!engine_ready(l, 0))
				return false;
			if (loop_turn_look(l)) {
				l->busy = true;
				return false;
			}
			continue;
		case HANDLED_CLOSE:
			counters_add(&l->counters, COUNTER_FRAMES_BROKEN, 1);
			remote_done(d, r, 0, FLAG_CLOSE);
			return true;
		case HANDLED_ENGINE:
		case HANDLED_FEED:
			ensure(!"this is the engine's loop, and what is the feed's goes there at once");
		}
	}
}

static void
remote_round(struct dispatch *d, struct remote *r)
{
	struct loop *l = d->loop;
	if (!dispatch_remote_ready(r))
		return;
	loop_turn_begin(l, clock_steady_ns(), &l->judges[2]);
	bool over = false;
	for (unsigned n = 0; n < REMOTE_FRAMES_MAX && !over; n++) {
		if (!dispatch_remote_ready(r))
			return;
		if (!r->has_frame) {
			if (!ring_get(r->in, &r->frame))
				return;
			r->has_frame = true;
			r->handling = (struct handling){ 0 };
			r->reply.used = 0;
		}
		size_t bytes = r->frame.n;
		loop_turn_aged(l, r->frame.since_ns);
		if (!remote_frame(d, r))
			return;
		over = loop_turn_spent(l, r->handling.costly ? LOOK_BYTES : bytes);
	}
	l->busy = true; /* more may be there */
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

/* Replies and messages of the feed, up to so many a round: a watcher's are long. */
static void
feed_take(struct loop *l)
{
	struct ring_record record;
	unsigned n = 0;
	for (; n < FEED_RECORDS_MAX && feed_get(l->feed, &record); n++, feed_release(l->feed)) {
		struct connection *c = connection_find(l, record.token);
		if (!c)
			continue;
		c->fed_bytes += record.n;
		if (record.kind == RING_CUT)
			connection_close(c);
		else if (record.kind == RING_TOLD)
			connection_told(c, record.bytes, record.n);
		else
			connection_reply(c, record.bytes, record.n, record.wait_for, NULL);
	}
	if (n == FEED_RECORDS_MAX)
		l->busy = true;
}

/* ---- the round ---- */

void
dispatch_round(struct loop *l)
{
	struct dispatch *d = l->dispatch;
	feed_take(l);
	if (l->index > 0) {
		replies_take(d);
	} else {
		for (unsigned i = 1; i < d->loops_n; i++)
			remote_round(d, &d->remotes[i]);
		dispatch_jobs_round(d);
	}
	dispatch_parked_round(d);
}

void
dispatch_bells(struct loop *l)
{
	struct dispatch *d = l->dispatch;
	feed_ring(l->feed);
	if (l->index > 0) {
		if (d->put || ring_was_full(d->from_engine))
			loop_ring(&d->loops[0]);
		d->put = false;
		return;
	}
	for (unsigned i = 1; i < d->loops_n; i++) {
		struct remote *r = &d->remotes[i];
		bool full = ring_was_full(r->in); /* a fence, too: only now is it looked whether the journal's bell comes behind what was put */
		if (full || (r->told && r->waits_for <= batcher_durable(l->batcher)))
			loop_ring(r->loop);
		r->told = false;
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
	if (!dispatch_remote_ready(r) || !ring_put(r->out, &(struct ring_record){ .kind = RING_SOCKET, .token = (uint64_t)fd }))
		return false;
	dispatch_remote_told(r, 0);
	return true;
}
