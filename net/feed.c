/* feed.c: the feed's thread, its roads to the loops, its sleep. The contract is in feed.h, the atomics in feed_part.h. */
#define _GNU_SOURCE
#include "net/feed_part.h"

#include "net/batcher.h"
#include "net/methods.h"
#include "net/thread.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define REPLY_LIMIT_BYTES ((size_t)4 << 20) /* of one answer: a page of a snapshot has 256 KiB */
#define FULL_ROAD_MS      1 /* a full road is looked at again */

static void
bell_ring(const struct feed *f)
{
	uint64_t one = 1;
	ssize_t written = write(f->bell, &one, sizeof one);
	(void)written; /* refused only at 2^64: it is ringing */
}

/* ---- a loop's side ---- */

static struct gauge *
gauge_of(const struct feed_road *r, uint64_t token)
{
	uint32_t slot = (uint32_t)token;
	ensure(slot < r->slots_n);
	return &r->gauges[slot];
}

bool
feed_hand(struct feed_road *r, uint64_t token, const uint8_t *frame, size_t n)
{
	struct gauge *g = gauge_of(r, token);
	if (atomic_load_explicit(&g->token, memory_order_relaxed) != token) { /* its first: the ring brings the rest behind it */
		atomic_store_explicit(&g->taken, 0, memory_order_relaxed);
		atomic_store_explicit(&g->wake_at, 0, memory_order_relaxed);
		atomic_store_explicit(&g->token, token, memory_order_release);
	}
	if (!ring_put(r->in, &(struct ring_record){ .kind = RING_FRAME, .token = token, .bytes = frame, .n = n }))
		return false;
	r->handed = true;
	return true;
}

bool
feed_get(struct feed_road *r, struct ring_record *record)
{
	return ring_get(r->out, record);
}

void
feed_release(struct feed_road *r)
{
	ring_release(r->out);
}

void
feed_ring(struct feed_road *r)
{
	if (r->handed || ring_was_full(r->out))
		bell_ring(r->feed);
	r->handed = false;
}

void
feed_taken(struct feed_road *r, uint64_t token, uint64_t taken)
{
	struct gauge *g = gauge_of(r, token);
	atomic_store(&g->taken, taken);
	uint64_t wake_at = atomic_load(&g->wake_at);
	if (wake_at == 0 || taken < wake_at)
		return;
	atomic_store(&g->wake_at, 0);
	bell_ring(r->feed);
}

void
feed_gone(struct feed_road *r, uint64_t token)
{
	atomic_store_explicit(&gauge_of(r, token)->token, 0, memory_order_release);
	bell_ring(r->feed);
}

/* ---- the feed's side ---- */

bool
feed_alive(const struct feed_road *r, uint64_t token)
{
	return atomic_load_explicit(&gauge_of(r, token)->token, memory_order_acquire) == token;
}

uint64_t
feed_unread(const struct feed_road *r, uint64_t token)
{
	struct gauge *g = gauge_of(r, token);
	return g->put_token == token ? g->put - atomic_load(&g->taken) : 0;
}

bool
feed_wait_taken(struct feed_road *r, uint64_t token, uint64_t most)
{
	struct gauge *g = gauge_of(r, token);
	if (feed_unread(r, token) <= most)
		return true;
	atomic_store(&g->wake_at, g->put - most);
	return feed_unread(r, token) <= most;
}

static void
put_count(struct feed_road *r, const struct ring_record *record)
{
	struct gauge *g = gauge_of(r, record->token);
	if (g->put_token != record->token)
		g->put = 0;
	g->put_token = record->token;
	g->put += record->n;
	r->told = true;
}

bool
feed_put(struct feed_road *r, const struct ring_record *record)
{
	struct feed *f = r->feed;
	bool waited = false;
	while (!ring_put(r->out, record)) {
		if (!waited)
			counters_add(&f->counters, COUNTER_FEED_STALLS, 1);
		waited = true;
		loop_ring(r->loop);
		if (!feed_alive(r, record->token) || atomic_load_explicit(&f->stop, memory_order_acquire))
			return false;
		poll(NULL, 0, FULL_ROAD_MS);
	}
	put_count(r, record);
	return true;
}

/* ---- the round ---- */

/* One request of a loop. */
static void
frame_handle(struct feed *f, struct feed_road *r, const struct ring_record *frame)
{
	struct handling h = { 0 };
	struct ring_record record = { .kind = RING_REPLY, .token = frame->token };
	f->asking = r;
	f->asking_token = frame->token;
	f->reply.used = 0;
	enum handled handled = methods_handle(f->parts.service, PLACE_FEED, 0, frame->bytes, frame->n, &f->reply, &h);
	ensure(handled == HANDLED_REPLY);
	counters_add(&f->counters, COUNTER_FRAMES, 1);
	counters_add(&f->counters, COUNTER_REFUSED, h.refused);
	record.bytes = f->reply.at;
	record.n = f->reply.used;
	record.wait_for = h.wait_for;
	feed_put(r, &record);
}

static bool
frames_take(struct feed *f)
{
	struct ring_record frame;
	bool any = false;
	for (unsigned i = 0; i < f->roads_n; i++) {
		struct feed_road *r = f->roads[i];
		if (!ring_get(r->in, &frame))
			continue;
		frame_handle(f, r, &frame);
		ring_release(r->in);
		any = true;
		r->told |= ring_was_full(r->in);
	}
	return any;
}

static void
loops_ring(struct feed *f)
{
	for (unsigned i = 0; i < f->roads_n; i++) {
		if (f->roads[i]->told)
			loop_ring(f->roads[i]->loop);
		f->roads[i]->told = false;
	}
}

static void
publish(struct feed *f)
{
	uint32_t catching = 0;
	for (uint32_t i = 0; i < f->watchers_n; i++)
		catching += f->watchers[i]->state == WATCHER_CATCHING;
	atomic_store_explicit(&f->watchers_shown, f->watchers_n, memory_order_relaxed);
	atomic_store_explicit(&f->catching_shown, catching, memory_order_relaxed);
	atomic_store_explicit(&f->snapshots_shown, f->snapshots_n, memory_order_relaxed);
	atomic_store_explicit(&f->position_shown, f->live ? f->stream.seq : 0, memory_order_relaxed);
}

/* Until the bell, or until there is something to do by itself. The journal rings only who has read all that it has. */
static void
rest(struct feed *f, uint64_t durable, int64_t sleep_ms)
{
	struct pollfd bell = { .fd = f->bell, .events = POLLIN };
	uint64_t times;
	if (f->live && f->stream.seq == durable && batcher_follow(f->parts.batcher, f->bell) != durable)
		return;
	poll(&bell, 1, sleep_ms > INT32_MAX ? -1 : (int)sleep_ms);
	ssize_t got = read(f->bell, &times, sizeof times);
	(void)got; /* non-blocking: nothing there is fine, the round looks at everything */
}

static void *
feed_main(void *arg)
{
	struct feed *f = arg;
	while (!atomic_load_explicit(&f->stop, memory_order_acquire)) {
		int64_t sleep_ms = INT64_MAX;
		f->now_ms = clock_steady_ms();
		bool more = frames_take(f);
		uint64_t durable = batcher_durable(f->parts.batcher);
		more |= watchers_round(f, durable, &sleep_ms);
		snapshots_round(f, &sleep_ms);
		loops_ring(f);
		publish(f);
		if (!more)
			rest(f, durable, sleep_ms);
	}
	watchers_end(f);
	snapshots_end(f);
	return NULL;
}

/* ---- from opening to closing ---- */

struct feed *
feed_open(const struct feed_parts *parts, struct why *why)
{
	struct feed *f = calloc(1, sizeof *f);
	if (!f || (f->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0) {
		snprintf(why->text, sizeof why->text, "no memory or descriptor for the change feed");
		free(f);
		return NULL;
	}
	f->parts = *parts;
	f->reply.limit = f->message.limit = REPLY_LIMIT_BYTES;
	return f;
}

static void
road_free(struct feed_road *r)
{
	if (r->in)
		ring_free(r->in);
	if (r->out)
		ring_free(r->out);
	free(r->gauges);
	free(r);
}

struct feed_road *
feed_join(struct feed *f, const struct loop *loop, uint32_t connections_max)
{
	struct feed_road *r = calloc(1, sizeof *r);
	if (!r)
		return NULL;
	ensure(f->roads_n < LOOPS_MAX);
	*r = (struct feed_road){ .feed = f, .loop = loop, .in = ring_new(), .out = ring_new(), .slots_n = connections_max };
	r->gauges = calloc(connections_max, sizeof *r->gauges);
	if (!r->in || !r->out || !r->gauges) {
		road_free(r);
		return NULL;
	}
	f->roads[f->roads_n++] = r;
	return r;
}

int
feed_start(struct feed *f, struct why *why)
{
	int failure = thread_start(&f->thread, "feed", feed_main, f);
	if (failure) {
		snprintf(why->text, sizeof why->text, "the feed's thread did not start: %s", strerror(failure));
		return -1;
	}
	f->running = true;
	return 0;
}

void
feed_stop(struct feed *f)
{
	if (!f || !f->running)
		return;
	atomic_store_explicit(&f->stop, true, memory_order_release);
	bell_ring(f);
	pthread_join(f->thread, NULL);
	f->running = false;
}

void
feed_close(struct feed *f)
{
	if (!f)
		return;
	for (unsigned i = 0; i < f->roads_n; i++)
		road_free(f->roads[i]);
	buffer_fini(&f->message);
	buffer_fini(&f->reply);
	buffer_fini(&f->window.wire);
	close(f->bell);
	free(f);
}

void
feed_figures(const struct feed *f, struct feed_figures *figures)
{
	figures->watchers = atomic_load_explicit(&f->watchers_shown, memory_order_relaxed);
	figures->catching = atomic_load_explicit(&f->catching_shown, memory_order_relaxed);
	figures->snapshots = atomic_load_explicit(&f->snapshots_shown, memory_order_relaxed);
	figures->position = atomic_load_explicit(&f->position_shown, memory_order_relaxed);
}

const struct counters *
feed_counters(const struct feed *f)
{
	return &f->counters;
}
