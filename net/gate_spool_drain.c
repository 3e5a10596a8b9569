/* gate_spool_drain.c: see gate_spool_drain.h. What is sent is in gate_spool_send.c, here is what becomes of it. */
#include "net/gate_spool_drain.h"

#include "net/codec_read.h"

#include <stdio.h>

void
drain_init(struct drain *d, struct spool *spool, uint64_t delivered, uint64_t rate, struct gate_refused *refused, struct gate_queue *queue,
    struct gate_counters *counters)
{
	memset(d, 0, sizeof *d);
	d->spool = spool;
	d->read = delivered;
	d->rate = rate;
	d->refused = refused;
	d->queue = queue;
	d->counters = counters;
	later_init(&d->later);
}

void
drain_fini(struct drain *d)
{
	later_fini(&d->later);
	buffer_fini(&d->message);
}

/* DR1. Batches that are tried again are among the later ones. One that failed may have an event that is in neither. */
static void
delivered_tell(struct drain *d)
{
	uint64_t first = later_first(&d->later);
	if (d->failed)
		return;
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++) {
		const struct drain_batch *b = &d->batches[i];
		if (b->used && !b->retry && b->numbers[0] < first)
			first = b->numbers[0];
	}
	spool_delivered(d->spool, first == UINT64_MAX ? d->read : first - 1);
}

int64_t
drain_oldest_ms(struct drain *d)
{
	struct why why;
	uint64_t number;
	int64_t stamp_ms, oldest_ms = INT64_MAX;
	if (later_first(&d->later) != UINT64_MAX)
		oldest_ms = d->later.events[0].stamp_ms;
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++)
		if (d->batches[i].used && d->batches[i].stamp_ms < oldest_ms)
			oldest_ms = d->batches[i].stamp_ms;
	if (spool_peek(d->spool, &number, &stamp_ms, &why) == 1 && stamp_ms < oldest_ms)
		oldest_ms = stamp_ms;
	return oldest_ms == INT64_MAX ? -1 : oldest_ms;
}

void
drain_hurry(struct drain *d, int64_t now_ms)
{
	later_hurry(&d->later, now_ms);
	d->lap_wait_ms = 0;
	d->lap_due_ms = d->held_due_ms = now_ms;
}

/* ---- outcomes ---- */

enum verdict { VERDICT_DONE, VERDICT_KEPT, VERDICT_LATER, VERDICT_REFUSED };

struct outcome {
	enum verdict verdict;
	struct bytes code, message; /* borrowed from the reply */
};

/* A code that will be the same however often the event is sent. Any other one is tried again: giving up needs a reason. */
static bool
is_final(struct bytes code)
{
	static const enum status final[] = { STATUS_BAD_REQUEST, STATUS_TOO_LARGE, STATUS_VERSION_UNSUPPORTED, STATUS_MISMATCH, STATUS_CONFLICT,
		STATUS_STALE, STATUS_FORBIDDEN, STATUS_LIMIT, STATUS_UNKNOWN_SKU, STATUS_UNKNOWN_LOCATION };
	for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
		const char *name = status_name(final[i]);
		if (code.n == strlen(name) && memcmp(code.at, name, code.n) == 0)
			return true;
	}
	return false;
}

/* {rejected: code, message, detail, quarantine?}, or {reconciled: ...}. */
static bool
outcome_map(struct reader *r, struct outcome *o)
{
	enum { REJECTED, MESSAGE, QUARANTINE, KEYS };
	static const struct key keys[KEYS] = { KEY("rejected"), KEY("message"), KEY("quarantine") };
	bool kept = false;
	uint32_t pairs;
	int hint = 0;
	if (!reader_map(r, &pairs))
		return false;
	for (; pairs > 0; pairs--) {
		int key = reader_key(r, keys, KEYS, &hint);
		bool read = (key == REJECTED && reader_str(r, &o->code)) || (key == MESSAGE && reader_str(r, &o->message));
		kept |= key == QUARANTINE;
		if (key == KEY_BROKEN || (!read && !reader_skip(r)))
			return false;
	}
	if (o->code.n)
		o->verdict = kept ? VERDICT_KEPT : is_final(o->code) ? VERDICT_REFUSED : VERDICT_LATER;
	return true;
}

/* The one that the request is of; NULL: none. */
static struct drain_batch *
batch_of(struct drain *d, const struct gate_request *request)
{
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++)
		if (d->batches[i].used && d->batches[i].id == request->number)
			return &d->batches[i];
	return NULL;
}

static struct bytes
batch_event(const struct drain_batch *b, const struct gate_request *request, uint32_t i)
{
	return (struct bytes){ request->message + b->offsets[i], b->offsets[i + 1] - b->offsets[i] };
}

static void
event_later(struct drain *d, const struct drain_batch *b, const struct gate_request *request, uint32_t i, bool alone, int64_t now_ms)
{
	if (b->retry) {
		struct later_event *event = later_find(&d->later, b->numbers[i]);
		event->state = LATER_WAITING;
		event->alone |= alone;
		return;
	}
	if (!later_add(&d->later, b->numbers[i], b->stamp_ms, batch_event(b, request, i), alone, now_ms) && !d->failed) {
		snprintf(d->why.text, sizeof d->why.text, "no memory for events that the server refused for now");
		d->failed = true;
	}
}

static void
event_done(struct drain *d, const struct drain_batch *b, uint32_t i)
{
	if (b->retry)
		later_settle(&d->later, later_find(&d->later, b->numbers[i]));
	d->counters->spool_delivered++;
}

/* RF1: first what goes into the file, then what it settles. */
static void
batch_settle(struct drain *d, struct drain_batch *b, const struct gate_request *request, struct outcome outcomes[], int64_t now_ms,
    int64_t wall_ms)
{
	for (uint32_t i = 0; i < b->n; i++)
		if (outcomes[i].verdict == VERDICT_REFUSED && !refused_add(d->refused, b->numbers[i], wall_ms, outcomes[i].code,
		    outcomes[i].message, batch_event(b, request, i)))
			outcomes[i].verdict = VERDICT_LATER;
	bool written = refused_write(d->refused);
	for (uint32_t i = 0; i < b->n; i++) {
		bool refused = outcomes[i].verdict == VERDICT_REFUSED;
		if (outcomes[i].verdict == VERDICT_LATER || (refused && !written)) {
			event_later(d, b, request, i, false, now_ms);
			continue;
		}
		d->counters->spool_refused += refused;
		d->counters->spool_kept += outcomes[i].verdict == VERDICT_KEPT;
		event_done(d, b, i);
	}
	b->used = false;
	d->retries -= b->retry;
	delivered_tell(d);
}

bool
drain_result(struct drain *d, const struct gate_request *request, struct bytes result, int64_t now_ms, int64_t wall_ms)
{
	struct drain_batch *b = batch_of(d, request);
	struct outcome outcomes[DRAIN_BATCH_EVENTS];
	struct frame_outcomes list;
	uint32_t n;
	ensure(b);
	if (!frame_outcomes_read(result, &list))
		return false;
	struct reader r = { list.outcomes.at, list.outcomes.at + list.outcomes.n };
	if (!reader_array(&r, &n) || n != b->n)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct bytes word;
		outcomes[i] = (struct outcome){ .verdict = VERDICT_DONE };
		if (!reader_str(&r, &word) && !outcome_map(&r, &outcomes[i]))
			return false;
	}
	batch_settle(d, b, request, outcomes, now_ms, wall_ms);
	return true;
}

void
drain_error(struct drain *d, const struct gate_request *request, const struct frame_reply *reply, int64_t now_ms, int64_t wall_ms)
{
	struct drain_batch *b = batch_of(d, request);
	struct outcome outcome = { .verdict = is_final(reply->code) ? VERDICT_REFUSED : VERDICT_LATER, .code = reply->code,
		.message = reply->message };
	ensure(b);
	if (b->n == 1) {
		batch_settle(d, b, request, &outcome, now_ms, wall_ms);
		return;
	}
	for (uint32_t i = 0; i < b->n; i++)
		event_later(d, b, request, i, true, now_ms);
	b->used = false;
	d->retries -= b->retry;
	delivered_tell(d);
}
