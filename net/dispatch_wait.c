/* dispatch_wait.c: what is answered later than asked: waiting reads, reads asked again (C5), jobs. The drawing is in dispatch.h. */
#include "net/dispatch_part.h"
#include "net/codec_read.h"

#include <stdlib.h>

/* ---- answers from elsewhere ---- */

static struct remote *
remote_of(struct dispatch *d, unsigned origin)
{
	return origin == d->loop->index ? NULL : &d->remotes[origin];
}

void
dispatch_remote_put(struct remote *r, const struct ring_record *record)
{
	if (ring_put(r->out, record)) {
		dispatch_remote_told(r, record->wait_for);
		return;
	}
	ensure(!r->has_waiting);
	r->waiting = *record;
	r->has_waiting = true;
}

bool
dispatch_remote_ready(struct remote *r)
{
	if (r->has_waiting && ring_put(r->out, &r->waiting)) {
		r->has_waiting = false;
		dispatch_remote_told(r, 0);
	}
	return !r->has_waiting;
}

/* Whether an answer for that loop can be taken now. */
static bool
origin_ready(struct dispatch *d, unsigned origin)
{
	struct remote *r = remote_of(d, origin);
	return !r || (dispatch_remote_ready(r) && !r->has_frame);
}

/* The request goes along behind the reply of a read that must wait (C5); the record says so. */
void
dispatch_asked_append(const struct dispatch *d, struct buffer *reply, struct ring_record *record, const struct asked *asked)
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
		dispatch_asked_append(d, &r->reply, &record, asked);
		record.bytes = r->reply.at;
		record.n = r->reply.used;
		dispatch_remote_put(r, &record);
	} else {
		struct connection *c = connection_find(d->loop, token);
		if (c)
			connection_reply(c, reply->at, reply->used, wait_for, asked);
	}
	reply->used = 0;
	reply->full = false;
}

/* ---- parked reads ---- */

bool
dispatch_park(struct dispatch *d, unsigned origin, uint64_t token, const struct handling *h, const uint8_t *frame, size_t n)
{
	bool room = d->parked_n < PARKED_MAX && d->parked_bytes + n <= PARKED_BYTES_MAX;
	uint8_t *copy = room ? malloc(n) : NULL;
	if (!copy) {
		counters_add(&d->loop->counters, COUNTER_PARKED_FULL, 1);
		return false;
	}
	memcpy(copy, frame, n);
	d->parked_bytes += n;
	d->parked[d->parked_n++] = (struct parked){ .origin = origin, .token = token, .wait_for = h->wait_for,
		.since_ms = d->loop->now_ms, .until_ms = d->loop->now_ms + h->wait_ms, .handling = *h, .n = n, .frame = copy };
	return true;
}

void
dispatch_overloaded_put(struct loop *l, const uint8_t *frame, size_t n, struct buffer *out)
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
	if (dispatch_park(d, l->index, connection_token(c), &(struct handling){ 0 }, asked->frame, asked->n)) {
		struct parked *p = &d->parked[d->parked_n - 1];
		p->again = true;
		p->since_ms = asked->since_ms;
		p->until_ms = asked->since_ms + ASK_MS_MAX;
		return;
	}
	d->scratch.used = 0;
	dispatch_overloaded_put(l, asked->frame, asked->n, &d->scratch);
	answer(d, l->index, connection_token(c), &d->scratch, 0, NULL);
}

/* D19: it has waited long enough. */
static void
parked_overloaded(struct dispatch *d, struct parked *p)
{
	d->scratch.used = 0;
	dispatch_overloaded_put(d->loop, p->frame, p->n, &d->scratch);
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
	switch (methods_handle(l->service, l->index == 0 ? PLACE_ENGINE : PLACE_ANY_LOOP, l->now_ms, p->frame, p->n, &d->scratch, &p->handling)) {
	case HANDLED_REPLY:
		dispatch_count(l, &p->handling);
		answer(d, p->origin, p->token, &d->scratch, p->handling.wait_for,
		    dispatch_asked_of(&p->handling, p->since_ms, p->frame, p->n, &asked));
		return true;
	case HANDLED_WAIT:
		p->wait_for = p->handling.wait_for;
		return false;
	case HANDLED_ENGINE: { /* on the way its cell got a hold that is due: the engine knows */
		struct connection *c = connection_find(l, p->token);
		struct ring_record frame = { .kind = RING_FRAME, .token = p->token, .since_ns = clock_steady_ns(), .bytes = p->frame, .n = p->n };
		if (c && !ring_put(d->to_engine, &frame))
			return false;
		d->put = true;
		return true;
	}
	case HANDLED_NOTHING:
	case HANDLED_LATER:
	case HANDLED_FEED:
	case HANDLED_AGAIN:
	case HANDLED_CLOSE:
		break;
	}
	ensure(!"a waiting read ends in a reply");
	return true;
}

void
dispatch_parked_round(struct dispatch *d)
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
		d->parked_bytes -= p->n;
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

void
dispatch_job_add(struct dispatch *d, unsigned origin, uint64_t token, const struct handling *h)
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

void
dispatch_jobs_round(struct dispatch *d)
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
