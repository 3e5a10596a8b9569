/* loop.c: the round of a network loop. The order of things is in loop.h. */
#define _GNU_SOURCE
#include "net/loop.h"
#include "net/connection.h"
#include "net/dispatch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void
bell_rang(int fd, short what, void *arg)
{
	uint64_t times;
	ssize_t got = read(fd, &times, sizeof times);
	(void)got; /* non-blocking: nothing there is fine, the round's end looks at everything */
}

static void
alarm_due(int fd, short what, void *arg)
{
	struct loop *l = arg;
	l->alarm_ms = INT64_MAX;
	loop_begin(l);
}

static void
sweep_due(int fd, short what, void *arg)
{
	struct loop *l = arg;
	int64_t steady = clock_steady_ms();
	for (uint32_t i = 0; i < l->slots_n && l->connections_n > 0; i++)
		if (l->slots[i])
			connection_sweep(l->slots[i], steady);
}

static struct event_base *
base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;
	if (config) {
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	return base;
}

int
loop_init(struct loop *l, unsigned index, uint32_t connections_max, struct why *why)
{
	*l = (struct loop){ .index = index, .bell = -1, .alarm_ms = INT64_MAX, .slots_n = connections_max };
	TAILQ_INIT(&l->dirty);
	TAILQ_INIT(&l->stalled);
	TAILQ_INIT(&l->light);
	TAILQ_INIT(&l->heavy);
	clock_init(&l->clock, 0);
	l->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->base = base_new();
	l->in = malloc(TAIL_COPY_MAX + READ_BYTES);
	l->slots = calloc(connections_max, sizeof *l->slots);
	l->generations = calloc(connections_max, sizeof *l->generations);
	if (l->bell < 0 || !l->base || !l->in || !l->slots || !l->generations) {
		snprintf(why->text, sizeof why->text, "loop %u: no memory or descriptors for %u connections", index, connections_max);
		loop_fini(l);
		return -1;
	}
	struct timeval sweep = { SWEEP_MS / 1000, SWEEP_MS % 1000 * 1000 };
	l->bell_event = loop_watch(l, l->bell, bell_rang, l);
	l->alarm_event = event_new(l->base, -1, 0, alarm_due, l);
	l->sweep_event = event_new(l->base, -1, EV_PERSIST, sweep_due, l);
	if (!l->bell_event || !l->alarm_event || !l->sweep_event || event_add(l->sweep_event, &sweep) < 0) {
		snprintf(why->text, sizeof why->text, "loop %u: no memory for its events", index);
		loop_fini(l);
		return -1;
	}
	return 0;
}

void
loop_fini(struct loop *l)
{
	for (uint32_t i = 0; l->slots && i < l->slots_n; i++)
		if (l->slots[i])
			connection_close(l->slots[i]);
	for (unsigned i = 0; i < l->pool_n; i++)
		buffer_fini(&l->pool[i]);
	l->pool_n = 0;
	loop_unwatch(l->bell_event);
	loop_unwatch(l->alarm_event);
	loop_unwatch(l->sweep_event);
	if (l->base)
		event_base_free(l->base);
	if (l->bell >= 0)
		close(l->bell);
	free(l->in);
	free(l->slots);
	free(l->generations);
	*l = (struct loop){ .bell = -1 };
}

void
loop_ring(const struct loop *l)
{
	uint64_t one = 1;
	ssize_t written = write(l->bell, &one, sizeof one);
	(void)written; /* refused only at 2^64: it is ringing */
}

bool
loop_begin(struct loop *l)
{
	l->now_ms = clock_now_ms(&l->clock);
	l->begun_bytes = 0;
	l->stamps++;
	l->begun = l->index > 0 || batcher_begin(l->batcher, l->now_ms);
	return l->begun;
}

bool
loop_turn_look(struct loop *l)
{
	struct turn *t = &l->turn;
	t->bytes = 0;
	t->now_ns = clock_steady_ns();
	loop_turn_judge(l);
	return t->now_ns >= t->until_ns;
}

struct buffer
loop_buffer_take(struct loop *l)
{
	return l->pool_n ? l->pool[--l->pool_n] : (struct buffer){ 0 };
}

void
loop_buffer_give(struct loop *l, struct buffer *b)
{
	if (b->at && b->size <= POOL_BUFFER_MAX && l->pool_n < POOL_BUFFERS)
		l->pool[l->pool_n++] = (struct buffer){ .at = b->at, .size = b->size };
	else
		buffer_fini(b);
	*b = (struct buffer){ 0 };
}

/* Those that wait for the engine are tried once a round; those that wait for their own output when it has shrunk. */
static void
stalled_resume(struct loop *l)
{
	for (struct connection *c = TAILQ_FIRST(&l->stalled), *next; c; c = next) {
		next = TAILQ_NEXT(c, stalled_link);
		connection_resume(c);
	}
}

/* Everybody's turn, as far as the round goes. */
static void
turns_take(struct loop *l)
{
	struct connection *c;
	if (TAILQ_EMPTY(&l->light) && TAILQ_EMPTY(&l->heavy))
		return;
	int64_t now = clock_steady_ns(), light_until = now + LIGHT_NS_ROUND;
	while (now < light_until && (c = TAILQ_FIRST(&l->light)))
		now = connection_turn(c, now);
	int64_t heavy_until = now + HEAVY_NS_ROUND;
	while (now < heavy_until && (c = TAILQ_FIRST(&l->heavy)))
		now = connection_turn(c, now);
	l->reported_ns = 0;
}

static void
dirty_flush(struct loop *l)
{
	uint64_t durable = batcher_durable(l->batcher);
	for (struct connection *c = TAILQ_FIRST(&l->dirty), *next; c; c = next) {
		next = TAILQ_NEXT(c, dirty_link);
		connection_flush(c, durable); /* may close c, no other */
	}
}

static void
alarm_set(struct loop *l)
{
	int64_t at = dispatch_deadline(l);
	if (l->index == 0) {
		int64_t due = engine_next_deadline(l->service->engine);
		at = due < at ? due : at;
	}
	if (at == l->alarm_ms)
		return;
	l->alarm_ms = at;
	if (at == INT64_MAX) {
		event_del(l->alarm_event);
		return;
	}
	int64_t wait = at - clock_now_ms(&l->clock);
	wait = wait < 1 ? 1 : wait; /* 0 would spin while the journal holds everything up */
	struct timeval t = { wait / 1000, wait % 1000 * 1000 };
	event_add(l->alarm_event, &t);
}

/* Everybody is asked to finish; a failed log is told to those who wait for it. */
static void
drain_begin(struct loop *l, int how)
{
	l->drain_seen = how;
	l->drain_until_ms = clock_steady_ms() + DRAIN_MS_MAX;
	for (uint32_t i = 0; i < l->slots_n; i++)
		if (l->slots[i]) {
			if (how == DRAIN_LOG_FAILED)
				connection_fail(l->slots[i]);
			else
				connection_finish(l->slots[i]);
		}
}

static bool
drain_over(struct loop *l)
{
	bool quiet = l->drain_seen == DRAIN_LOG_FAILED || dispatch_quiet(l);
	if (l->connections_n == 0 && quiet && l->may_end(l->context, l))
		return true;
	return clock_steady_ms() >= l->drain_until_ms;
}

static void
loop_end(struct loop *l)
{
	counters_add(&l->counters, COUNTER_ROUNDS, 1);
	l->busy = false;
	dispatch_round(l);
	if (l->index == 0) {
		batcher_end(l->batcher);
		l->busy |= batcher_hoping(l->batcher);
	}
	l->begun = false;
	dirty_flush(l);
	if (atomic_load_explicit(l->held_bytes, memory_order_relaxed) > l->memory_max)
		connection_greedy_close(l);
	l->busy |= !TAILQ_EMPTY(&l->light) || !TAILQ_EMPTY(&l->heavy);
	dispatch_bells(l);
	if (l->each_round)
		l->each_round(l->context, l);
	alarm_set(l);
}

static void
tick_due(int fd, short what, void *arg)
{
	(void)arg; /* the round's end looks whether draining is over */
}

static struct event *
tick_new(struct loop *l)
{
	struct timeval often = { 0, DRAIN_TICK_MS * 1000 };
	struct event *e = event_new(l->base, -1, EV_PERSIST, tick_due, l);
	if (e)
		event_add(e, &often);
	return e;
}

void
loop_run(struct loop *l)
{
	struct event *tick = NULL;
	for (;;) {
		event_base_loop(l->base, EVLOOP_ONCE | (l->busy ? EVLOOP_NONBLOCK : 0));
		stalled_resume(l);
		turns_take(l);
		loop_end(l);
		int how = atomic_load_explicit(l->draining, memory_order_acquire);
		if (how > l->drain_seen) {
			drain_begin(l, how);
			loop_unwatch(tick);
			tick = tick_new(l);
			loop_end(l);
		}
		if (l->drain_seen && drain_over(l))
			break;
	}
	loop_unwatch(tick);
}

struct event *
loop_watch(struct loop *l, int fd, void (*ready)(int, short, void *), void *context)
{
	struct event *e = event_new(l->base, fd, EV_READ | EV_PERSIST, ready, context);
	if (e && event_add(e, NULL) < 0) {
		event_free(e);
		return NULL;
	}
	return e;
}

struct event *
loop_after(struct loop *l, int64_t ms, void (*due)(int, short, void *), void *context)
{
	struct timeval t = { ms / 1000, ms % 1000 * 1000 };
	struct event *e = event_new(l->base, -1, 0, due, context);
	if (e && event_add(e, &t) < 0) {
		event_free(e);
		return NULL;
	}
	return e;
}

struct event *
loop_signal(struct loop *l, int signal, void (*came)(int, short, void *), void *context)
{
	struct event *e = evsignal_new(l->base, signal, came, context);
	if (e && event_add(e, NULL) < 0) {
		event_free(e);
		return NULL;
	}
	return e;
}

void
loop_unwatch(struct event *e)
{
	if (e)
		event_free(e);
}
