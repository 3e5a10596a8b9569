/* gate_spool_send.c: the sending half of gate_spool_drain.h: the rate, batches out of the spool and out of the later ones, carrying. */
#include "net/gate_spool_drain.h"

#include "net/codec_write.h"

#include <stdio.h>

#define BATCH_HEAD_BYTES 3 /* array 16 */
#define THOUSAND 1000

/* ---- the rate ---- */

static int64_t
saved_max(const struct drain *d)
{
	int64_t burst = (int64_t)(d->rate * DRAIN_BURST_MS);
	return burst > DRAIN_BATCH_EVENTS * THOUSAND ? burst : DRAIN_BATCH_EVENTS * THOUSAND;
}

static void
rate_save(struct drain *d, int64_t now_ms)
{
	int64_t passed_ms = now_ms - d->saved_ms;
	d->saved_ms = now_ms;
	d->saved += passed_ms > THOUSAND ? saved_max(d) : passed_ms * (int64_t)d->rate;
	if (d->saved > saved_max(d))
		d->saved = saved_max(d);
}

/* How many events of so many may leave at once: not a few at a time when there are many. */
static uint32_t
rate_wants(const struct drain *d, uint64_t waiting)
{
	uint64_t most = d->rate && d->rate / 100 < DRAIN_BATCH_EVENTS ? d->rate / 100 + 1 : DRAIN_BATCH_EVENTS;
	return (uint32_t)(waiting < most ? waiting : most);
}

static bool
rate_allows(const struct drain *d, uint32_t events)
{
	return d->rate == 0 || d->saved >= (int64_t)events * THOUSAND;
}

/* ---- batches ---- */

static struct drain_batch *
batch_begin(struct drain *d, bool retry)
{
	for (int i = 0; i < DRAIN_BATCHES_MAX && gate_queue_room(d->queue); i++) {
		struct drain_batch *b = &d->batches[i];
		if (b->used)
			continue;
		b->retry = retry;
		b->n = 0;
		d->message.used = 0;
		return buffer_room(&d->message, BATCH_HEAD_BYTES + DRAIN_BATCH_EVENTS * EVENT_BYTES_MAX) ? b : NULL;
	}
	return NULL;
}

static void
batch_add(struct drain *d, struct drain_batch *b, uint64_t number, int64_t stamp_ms, struct bytes event)
{
	if (b->n == 0) {
		b->stamp_ms = stamp_ms;
		d->message.used = BATCH_HEAD_BYTES;
	}
	b->numbers[b->n] = number;
	b->offsets[b->n] = (uint32_t)d->message.used;
	buffer_append(&d->message, event.at, event.n);
	b->offsets[++b->n] = (uint32_t)d->message.used;
}

/* False: there is nothing to send, or no memory for it now (what was taken stays taken: the caller gives it back). */
static bool
batch_send(struct drain *d, struct drain_batch *b)
{
	uint8_t *message = raw_allocate(d->message.used);
	if (!message)
		return false;
	wire_big_endian(d->message.at, 0xdc, b->n, 2);
	memcpy(message, d->message.at, d->message.used);
	b->used = true;
	b->id = ++d->next_id;
	d->retries += b->retry;
	d->saved -= (int64_t)b->n * THOUSAND;
	struct gate_message m = { .origin = ORIGIN_SPOOL, .number = b->id, .at = message, .n = d->message.used,
		.form = FRAME_POST, .body = { message, (uint32_t)d->message.used }, .events_n = b->n };
	gate_queue_add(d->queue, &m);
	return true;
}

static int
fail(struct why *why, const char *text)
{
	snprintf(why->text, sizeof why->text, "%s", text);
	return -1;
}

/* 1: sent; 0: nothing may be sent now; -1: *why. */
static int
retry_send(struct drain *d, int64_t now_ms)
{
	struct drain_batch *b;
	struct later_event *event;
	uint32_t most = rate_wants(d, later_count(&d->later));
	if (d->retries == DRAIN_RETRIES_MAX || later_due_ms(&d->later) > now_ms || !rate_allows(d, most) || !(b = batch_begin(d, true)))
		return 0;
	while (b->n < most && (event = later_next(&d->later, now_ms))) {
		if (event->alone && b->n > 0) {
			d->later.round--; /* it goes first in the next one */
			break;
		}
		event->state = LATER_SENT;
		batch_add(d, b, event->number, event->stamp_ms, (struct bytes){ event->at, event->n });
		if (event->alone)
			break;
	}
	if (b->n && batch_send(d, b))
		return 1;
	for (uint32_t i = 0; i < b->n; i++)
		later_find(&d->later, b->numbers[i])->state = LATER_WAITING;
	return 0;
}

/* DR2: what was carried for want of room here has come round and there is still none: not before a while. */
static bool
lap_over(struct drain *d, int64_t now_ms)
{
	if (d->lap == 0 || d->read + 1 < d->lap)
		return true;
	if (later_count(&d->later) < LATER_EVENTS_MAX / 2) {
		d->lap = 0;
		d->lap_wait_ms = 0;
		return true;
	}
	if (now_ms < d->lap_due_ms)
		return false;
	d->lap_wait_ms = d->lap_wait_ms == 0 ? LATER_WAIT_MS : 2 * d->lap_wait_ms < DRAIN_LAP_MS_MAX ? 2 * d->lap_wait_ms : DRAIN_LAP_MS_MAX;
	d->lap_due_ms = now_ms + d->lap_wait_ms;
	d->lap = spool_last(d->spool) + 1;
	return true;
}

static int
fresh_send(struct drain *d, int64_t now_ms, struct why *why)
{
	uint32_t most = rate_wants(d, spool_last(d->spool) - d->read);
	struct drain_batch *b;
	struct spool_event event;
	int got = 1;
	if (most == 0 || later_full(&d->later) || !rate_allows(d, most) || !lap_over(d, now_ms) || !(b = batch_begin(d, false)))
		return 0;
	while (b->n < most && (got = spool_next(d->spool, &event, why)) == 1)
		batch_add(d, b, d->read = event.number, event.stamp_ms, event.bytes);
	if (got < 0)
		return -1;
	return batch_send(d, b) ? 1 : fail(why, "no memory for a batch of the spool's events");
}

/* ---- carrying ---- */

/* Adds later ones, from the index on in steps of `step`, to the spool's end; settles them when they are durable there. */
static int
carry(struct drain *d, uint32_t most, uint64_t up_to, bool from_end, int64_t wall_ms, struct why *why)
{
	struct gate_later *l = &d->later;
	uint64_t first = spool_last(d->spool) + 1;
	uint32_t from = from_end ? l->n : 0, carried = 0, chunk = 0;
	uint32_t chosen[DRAIN_BATCH_EVENTS];
	while (carried < most) {
		struct later_event *event = NULL;
		while (!event && (from_end ? from > 0 : from < l->n)) {
			event = &l->events[from_end ? --from : from++];
			if (event->state != LATER_WAITING || event->number > up_to)
				event = NULL;
		}
		bool fits = event && chunk < DRAIN_BATCH_EVENTS && spool_payload(d->spool) + SPOOL_RECORD_BYTES + event->n <= spool_payload_max(d->spool)
		    && spool_fits(d->spool, SPOOL_RECORD_BYTES + event->n, true);
		if (fits) {
			spool_add(d->spool, (struct bytes){ event->at, event->n });
			chosen[chunk++] = (uint32_t)(event - l->events);
			carried++;
		}
		if (fits && chunk < DRAIN_BATCH_EVENTS && carried < most)
			continue;
		if (spool_commit(d->spool, wall_ms, why))
			return -1;
		for (uint32_t i = 0; i < chunk; i++)
			later_carried(l, &l->events[chosen[i]]);
		if (!fits)
			break;
		chunk = 0;
	}
	d->counters->spool_carried += carried;
	if (carried && from_end && d->lap == 0)
		d->lap = first;
	return 0;
}

/* Everything in the spool's oldest full segment is done or waits to be tried again, and the room is needed. */
static bool
oldest_held(struct drain *d)
{
	uint64_t last = spool_oldest_full(d->spool);
	struct spool_figures f;
	spool_figures(d->spool, &f);
	if (last == 0 || (f.spares && f.bytes < f.bytes_max / 2) || d->read < last || later_first(&d->later) > last)
		return false;
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++)
		if (d->batches[i].used && d->batches[i].numbers[0] <= last)
			return false;
	return true;
}

/*
 * DR2 for the oldest segment. In a lap each event that is held is carried once, which wins the room of what was delivered between them.
 * Another lap is worth its writes when about as much was delivered since; else it comes ever more seldom.
 */
static int
oldest_carry(struct drain *d, int64_t now_ms, int64_t wall_ms, struct why *why)
{
	uint64_t before = d->counters->spool_carried;
	if (!oldest_held(d))
		return 0;
	if (later_first(&d->later) >= d->held_lap) {
		bool worth = (d->counters->spool_delivered - d->held_delivered) * DRAIN_HELD_WORTH >= d->held_carried;
		if (!worth && now_ms < d->held_due_ms)
			return 0;
		d->held_wait_ms = worth ? LATER_WAIT_MS : 2 * d->held_wait_ms < DRAIN_LAP_MS_MAX ? 2 * d->held_wait_ms : DRAIN_LAP_MS_MAX;
		d->held_due_ms = now_ms + d->held_wait_ms;
		d->held_delivered = d->counters->spool_delivered;
		d->held_carried = 0;
		d->held_lap = spool_last(d->spool) + 1;
	}
	int carried = carry(d, DRAIN_CARRY_MAX, spool_oldest_full(d->spool), false, wall_ms, why);
	d->held_carried += d->counters->spool_carried - before;
	return carried;
}

int
drain_step(struct drain *d, int64_t now_ms, int64_t wall_ms, struct why *why)
{
	if (d->failed)
		return fail(why, d->why.text);
	rate_save(d, now_ms);
	if (later_full(&d->later) && carry(d, DRAIN_CARRY_MAX, UINT64_MAX, true, wall_ms, why))
		return -1;
	if (oldest_carry(d, now_ms, wall_ms, why))
		return -1;
	for (;;) {
		int fresh = fresh_send(d, now_ms, why);
		if (fresh < 0)
			return -1;
		if (retry_send(d, now_ms) + fresh == 0)
			return 0;
	}
}

int64_t
drain_due_ms(const struct drain *d, int64_t now_ms)
{
	int64_t due_ms = later_due_ms(&d->later);
	uint64_t waiting = spool_last(d->spool) - d->read;
	uint32_t used = 0;
	for (int i = 0; i < DRAIN_BATCHES_MAX; i++)
		used += d->batches[i].used;
	if (used == DRAIN_BATCHES_MAX)
		return INT64_MAX;
	if (d->retries == DRAIN_RETRIES_MAX)
		due_ms = INT64_MAX;
	if (waiting && !later_full(&d->later))
		due_ms = d->lap && d->read + 1 >= d->lap && d->lap_due_ms > now_ms ? (due_ms < d->lap_due_ms ? due_ms : d->lap_due_ms) : now_ms;
	if (due_ms > now_ms || d->rate == 0)
		return due_ms;
	/* Only the rate is in the way: until enough is saved. */
	int64_t missing = (int64_t)rate_wants(d, waiting ? waiting : 1) * THOUSAND - d->saved;
	return missing <= 0 ? now_ms : now_ms + (missing + (int64_t)d->rate - 1) / (int64_t)d->rate;
}
