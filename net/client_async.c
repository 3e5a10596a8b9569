/* client_async.c: see client_async.h: connecting and coming back, the step, requests taken. */
#include "net/client_async.h"
#include "net/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READS_EACH_STEP 4
#define IN_BYTES_ENOUGH ((size_t)256 << 10) /* with whole messages to take: nothing more is read */

static const struct hf_async_options defaults = { .window_n = 256, .queue_n = 65536, .deadline_ms = 10000, .connect_ms = 2000,
	.silence_ms = 5000, .back_off_ms = 20, .back_off_ms_max = 2000 };

/* ---- making and ending ---- */

static void
options_take(struct hf_async_options *o, const struct hf_async_options *given)
{
	if (given)
		*o = *given;
	o->window_n = o->window_n ? o->window_n : defaults.window_n;
	if (o->window_n > CLIENT_WINDOW_MAX)
		o->window_n = CLIENT_WINDOW_MAX;
	o->queue_n = o->queue_n ? o->queue_n : defaults.queue_n;
	o->deadline_ms = o->deadline_ms > 0 ? o->deadline_ms : defaults.deadline_ms;
	o->connect_ms = o->connect_ms > 0 ? o->connect_ms : defaults.connect_ms;
	o->silence_ms = o->silence_ms > 0 ? o->silence_ms : defaults.silence_ms;
	o->back_off_ms = o->back_off_ms > 0 ? o->back_off_ms : defaults.back_off_ms;
	o->back_off_ms_max = o->back_off_ms_max > 0 ? o->back_off_ms_max : defaults.back_off_ms_max;
}

struct hf *
hf_async_open(const char *host, uint16_t port, const struct hf_async_options *options, struct hf_failure *failure)
{
	struct hf *hf = client_new(host, port, failure);
	struct client_async *a = hf ? calloc(1, sizeof *a) : NULL;
	if (!hf)
		return NULL;
	hf->async = a;
	memset(failure, 0, sizeof *failure);
	snprintf(failure->code, sizeof failure->code, "failed");
	snprintf(failure->message, sizeof failure->message, "no memory or no descriptor for a connection");
	if (!a || (a->epoll = epoll_create1(EPOLL_CLOEXEC)) < 0)
		goto none;
	options_take(&a->options, options);
	a->port = port;
	a->now_ms = clock_steady_ms();
	a->back_off_ms = a->options.back_off_ms;
	a->random = a->options.seed ? a->options.seed : (uint64_t)clock_steady_ns() ^ (uint64_t)(uintptr_t)a;
	if (!client_queue_init(&a->queue, a->options.window_n, a->options.queue_n) || !(a->host = strdup(host)))
		goto none;
	a->address = a->addresses = client_link_resolve(host, port, &a->numeric, failure);
	if (a->addresses)
		return hf;
none:
	hf_close(hf);
	return NULL;
}

void
client_async_free(struct client_async *a)
{
	if (!a)
		return;
	if (a->queue.window_n)
		client_queue_fini(&a->queue);
	client_watch_fini(&a->watch);
	if (a->addresses)
		freeaddrinfo(a->addresses);
	if (a->epoll >= 0)
		close(a->epoll);
	free(a->host);
	free(a);
}

/* ---- coming and going ---- */

static void
arm(struct hf *hf, uint32_t events)
{
	struct client_async *a = hf->async;
	struct epoll_event e = { .events = events };
	if (a->armed == events)
		return;
	epoll_ctl(a->epoll, a->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, hf->link.fd, &e);
	a->armed = events;
}

/* xorshift64*: between half and all of the back-off, which is doubled for the next time. */
static int64_t
pause_ms(struct client_async *a)
{
	int64_t whole = a->back_off_ms;
	a->random ^= a->random >> 12;
	a->random ^= a->random << 25;
	a->random ^= a->random >> 27;
	uint64_t drawn = (a->random * 0x2545f4914f6cdd1dU) >> 33;
	a->back_off_ms = whole * 2 > a->options.back_off_ms_max ? a->options.back_off_ms_max : whole * 2;
	return whole - (int64_t)(drawn % (uint64_t)(whole / 2 + 1));
}

static void
go_down(struct hf *hf)
{
	struct client_async *a = hf->async;
	client_link_end(&hf->link);
	a->armed = 0;
	a->state = DOWN;
	a->until_ms = a->now_ms + pause_ms(a);
	a->tell_down |= !a->told_down;
	a->told_down = true;
}

/* From the present address on: under way with one, or down when none is left. */
static void
attempt(struct hf *hf, int error)
{
	struct client_async *a = hf->async;
	for (; a->address; a->address = a->address->ai_next) {
		error = client_link_start(&hf->link, a->address);
		a->armed = 0;
		if (error)
			continue;
		a->state = CONNECTING;
		a->until_ms = a->now_ms + a->options.connect_ms;
		arm(hf, EPOLLOUT);
		return;
	}
	client_link_why(&hf->link, error, a->options.connect_ms, &a->trouble);
	a->address = a->addresses;
	a->none_answers = true;
	go_down(hf);
}

/* Every address of a name was tried: it may have moved meanwhile. */
static void
look_up_again(struct client_async *a)
{
	bool numeric;
	a->none_answers = false;
	struct addrinfo *fresh = a->numeric ? NULL : client_link_resolve(a->host, a->port, &numeric, &a->trouble);
	if (!fresh)
		return;
	freeaddrinfo(a->addresses);
	a->address = a->addresses = fresh;
}

static void
connecting(struct hf *hf)
{
	struct client_async *a = hf->async;
	int error = client_link_started(&hf->link, 0);
	if (error == EINPROGRESS && a->now_ms < a->until_ms)
		return;
	if (error) {
		a->address = a->address->ai_next;
		attempt(hf, error == EINPROGRESS ? ETIMEDOUT : error);
		return;
	}
	a->state = UP;
	a->tell_up = true;
	a->told_down = a->tell_down = false;
	a->quiet_ms = a->now_ms;
	a->watch.asked = false;
}

void
client_async_lose(struct hf *hf)
{
	struct client_async *a = hf->async;
	const struct client_link *l = &hf->link;
	memset(&a->trouble, 0, sizeof a->trouble);
	snprintf(a->trouble.code, sizeof a->trouble.code, "failed");
	if (l->foreign)
		snprintf(a->trouble.message, sizeof a->trouble.message, "%s", l->what);
	else
		snprintf(a->trouble.message, sizeof a->trouble.message, "%s %.120s", l->peer, l->what);
	client_queue_lost(&a->queue, l);
	if (l->answered)
		a->back_off_ms = a->options.back_off_ms;
	a->tell_up = false;
	a->address = a->addresses;
	go_down(hf);
}

/* ---- the step ---- */

static void
up_read(struct hf *hf)
{
	struct client_async *a = hf->async;
	struct client_link *l = &hf->link;
	for (int i = 0; i < READS_EACH_STEP && !l->broken; i++) {
		size_t before = l->in.used - l->in_at;
		if (l->whole > 0 && before >= IN_BYTES_ENOUGH)
			break;
		client_link_read(l);
		client_link_look(l);
		if (l->in.used - l->in_at == before)
			break;
		a->quiet_ms = a->now_ms;
	}
}

static void
up(struct hf *hf)
{
	struct client_async *a = hf->async;
	struct client_link *l = &hf->link;
	up_read(hf);
	if (l->broken)
		return;
	if (client_queue_on_wire(&a->queue) == 0)
		a->quiet_ms = a->now_ms;
	if (a->watch.wanted && !a->watch.asked && a->now_ms >= a->watch.due_ms)
		client_watch_ask(&a->watch, hf);
	client_queue_due(&a->queue, a->now_ms);
	do
		client_queue_send(&a->queue, l);
	while (client_link_write(l) && !l->blocked && client_queue_sendable(&a->queue));
	if (l->whole == 0 && a->now_ms - a->quiet_ms >= a->options.silence_ms)
		client_link_break(l, "does not answer within %lld ms", (long long)a->options.silence_ms);
	arm(hf, EPOLLIN | (l->blocked ? EPOLLOUT : 0));
}

void
hf_async_step(struct hf *hf)
{
	struct client_async *a = hf->async;
	a->now_ms = clock_steady_ms();
	if (a->state == DOWN && a->now_ms >= a->until_ms) {
		if (a->none_answers)
			look_up_again(a);
		attempt(hf, ECONNREFUSED);
	}
	if (a->state == CONNECTING)
		connecting(hf);
	if (a->state == UP && !hf->link.broken)
		up(hf);
}

int
hf_async_fd(const struct hf *hf)
{
	return hf->async->epoll;
}

static bool
pending(const struct hf *hf)
{
	const struct client_async *a = hf->async;
	const struct client_link *l = &hf->link;
	if (a->tell_up || a->tell_down || !TAILQ_EMPTY(&a->queue.done))
		return true;
	if (a->state != UP)
		return false;
	return l->whole > 0 || l->broken || (!l->blocked && (client_link_unwritten(l) || client_queue_sendable(&a->queue)));
}

static int64_t
earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int
hf_async_wait_ms(const struct hf *hf)
{
	const struct client_async *a = hf->async;
	if (pending(hf))
		return 0;
	int64_t at = earlier(a->queue.next_deadline_ms, a->queue.next_due_ms);
	if (a->state != UP)
		at = earlier(at, a->until_ms);
	else if (client_queue_on_wire(&a->queue) > 0)
		at = earlier(at, a->quiet_ms + a->options.silence_ms);
	if (a->state == UP && a->watch.wanted && !a->watch.asked)
		at = earlier(at, a->watch.due_ms);
	if (at == INT64_MAX)
		return -1;
	int64_t left = at - clock_steady_ms();
	return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

void
hf_async_wait(struct hf *hf, int timeout_ms)
{
	struct pollfd p = { .fd = hf->async->epoll, .events = POLLIN };
	int wait_ms = hf_async_wait_ms(hf);
	if (wait_ms < 0 || (timeout_ms >= 0 && timeout_ms < wait_ms))
		wait_ms = timeout_ms;
	if (wait_ms != 0)
		poll(&p, 1, wait_ms);
	hf_async_step(hf);
}

/* ---- requests ---- */

uint32_t
hf_async_send(struct hf *hf, const struct hf_async_how *how)
{
	struct client_async *a = hf->async;
	static const struct hf_async_how plain;
	how = how ? how : &plain;
	if (!client_built(hf))
		return 0;
	int64_t deadline_ms = clock_steady_ms() + (how->deadline_ms > 0 ? how->deadline_ms : a->options.deadline_ms);
	struct client_request *r = client_queue_add(&a->queue, hf->building.at, hf->building.used, deadline_ms);
	if (!r) {
		client_fail(hf, HF_FAILED, "too many requests are queued (%u): take some answers first", a->queue.n);
		return 0;
	}
	r->number = hf->number;
	r->context = how->context;
	r->repeat = how->repeat == HF_REPEAT_YES || (how->repeat == HF_REPEAT_BY_METHOD && client_repeats(r->bytes, r->n));
	hf->in_flight = a->queue.n;
	return r->number;
}

uint32_t
client_async_send(struct hf *hf)
{
	return hf_async_send(hf, NULL);
}

void
hf_async_watch(struct hf *hf, const struct hf_watch *want)
{
	struct client_async *a = hf->async;
	/* One watch a connection: a standing one ends with it, and what is here of it says nothing about the new one. */
	if (a->state == UP && a->watch.wanted && a->watch.asked)
		client_link_break(&hf->link, "was left for another watch");
	a->watch.asked = false;
	client_watch_set(&a->watch, want);
}
