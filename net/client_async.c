/*
 * client_async.c: the connection that lasts: one state machine around a link, a queue and a watch.
 *
 *   DOWN ──retry_at──▶ CONNECTING ──▶ UP ──link broken, and its whole messages taken──▶ DOWN
 *    ▲                     │ no address answers
 *    └──────back-off───────┘
 *
 * A1: whole messages that came before a line broke are told before what was in flight is judged: an answer that is here counts.
 * A2: deadlines are judged by hf_async_next() behind the messages that are here, for the same reason.
 * A3: the descriptor is an epoll of its own with the present socket in it, so that it stays the same for life.
 */
#include "holdfast/async.h"
#include "net/client.h"
#include "net/client_queue.h"
#include "net/client_watch.h"
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
#define UNKNOWN_AGAIN_MS 100 /* refused for now, and no time said */

enum client_state { DOWN, CONNECTING, UP };

struct client_async {
	enum client_state state;
	struct hf_async_options options;
	char *host;
	uint16_t port;
	bool numeric;
	struct addrinfo *addresses, *address; /* all; the one that is tried */
	int epoll;
	uint32_t armed; /* what the socket is watched for; 0: it is not in the epoll */
	int64_t now_ms; /* of the last step */
	int64_t until_ms; /* DOWN: when to try; CONNECTING: how long this attempt may last */
	int64_t quiet_ms; /* UP: since when requests are out and nothing has come */
	int64_t back_off_ms;
	uint64_t random;
	bool tell_up, tell_down; /* to be told by next */
	bool told_down; /* and not up since */
	struct hf_failure trouble; /* why it is down */
	struct hf_failure failure; /* of the event that was told last */
	struct client_queue queue;
	struct client_watch watch;
};

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
	go_down(hf);
}

/* Every address of a name was tried: it may have moved meanwhile. */
static void
look_up_again(struct client_async *a)
{
	bool numeric;
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

/* A1: called when nothing whole is left to take. */
static void
lose(struct hf *hf)
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
		if (a->told_down)
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
	/* One watch a connection: a standing one ends with it. */
	if (a->state == UP && a->watch.wanted && a->watch.asked)
		client_link_break(&hf->link, "was left for another watch");
	client_watch_set(&a->watch, want);
}

/* ---- what has happened ---- */

static void
told(struct hf *hf, struct client_request *r, struct hf_event *e, enum hf_outcome outcome)
{
	struct client_async *a = hf->async;
	e->kind = HF_ANSWER;
	e->outcome = outcome;
	e->number = r->number;
	e->sent_n = r->sent_n;
	e->context = r->context;
	e->failure = outcome == HF_OK ? NULL : &a->failure;
	client_queue_free(&a->queue, r);
	hf->in_flight = a->queue.n;
}

/* Q3. True: it goes on by itself. */
static bool
tried_again(struct client_async *a, struct client_request *r)
{
	const char *code = a->failure.code;
	bool unknown = strcmp(code, "unknown") == 0, by_option = strcmp(code, "overloaded") == 0 || strcmp(code, "rate_limited") == 0;
	r->doubt |= unknown;
	if (!client_is_refused_for_now(code) || !(r->doubt ? r->repeat : by_option && a->options.retry_refused))
		return false;
	int64_t due_ms = a->now_ms + hf_int(hf_get(a->failure.detail, "retry_after_ms"), UNKNOWN_AGAIN_MS);
	if (due_ms >= r->deadline_ms && !r->doubt)
		return false;
	client_queue_delay(&a->queue, r, due_ms);
	return true;
}

static bool
answered(struct hf *hf, const struct client_answer *answer, struct hf_event *e)
{
	struct client_async *a = hf->async;
	if (answer->number == CLIENT_WATCH_NUMBER)
		return client_watch_answer(&a->watch, answer, a->now_ms, e, &a->failure);
	struct client_request *r = client_queue_answered(&a->queue, answer->number);
	if (!r)
		return false;
	if (!answer->error) {
		told(hf, r, e, HF_OK);
		e->value = answer->result;
		return true;
	}
	client_refused(&a->failure, answer->error);
	if (tried_again(a, r))
		return false;
	told(hf, r, e, r->doubt && client_is_refused_for_now(a->failure.code) ? HF_UNKNOWN : HF_REFUSED);
	return true;
}

/* One message of the link; false: none, or none that is to be told. */
static bool
message(struct hf *hf, struct hf_event *e, bool *more)
{
	struct client_async *a = hf->async;
	struct client_answer answer;
	size_t n;
	const uint8_t *frame = a->state == UP ? client_link_take(&hf->link, &n) : NULL;
	*more = frame != NULL;
	if (!frame)
		return false;
	if (!client_decode(hf->zone, frame, n, &answer)) {
		hf->link.in_at = hf->link.in.used; /* nothing behind it can be believed */
		client_link_break(&hf->link, "sent bytes that are no answer");
		return false;
	}
	client_link_look(&hf->link);
	return answer.notification ? client_watch_notified(&a->watch, &answer, e) : answered(hf, &answer, e);
}

/* The end of a request that is known here. */
static void
ended(struct hf *hf, struct client_request *r, struct hf_event *e)
{
	struct client_async *a = hf->async;
	const char *trouble = a->told_down ? a->trouble.message : "";
	memset(&a->failure, 0, sizeof a->failure);
	snprintf(a->failure.code, sizeof a->failure.code, "%s", r->outcome == HF_UNKNOWN ? "unknown" : "failed");
	snprintf(a->failure.message, sizeof a->failure.message, "%.160s%s%s", trouble, *trouble ? ": " : "",
	    r->outcome == HF_UNKNOWN ? "no answer; it may or may not have happened" : "not sent before its deadline; nothing happened");
	told(hf, r, e, r->outcome);
}

static bool
line_told(struct client_async *a, struct hf_event *e)
{
	if (!a->tell_up && !a->tell_down)
		return false;
	e->kind = a->tell_up ? HF_CONNECTED : HF_DISCONNECTED;
	e->failure = a->tell_up ? NULL : &a->trouble;
	*(a->tell_up ? &a->tell_up : &a->tell_down) = false;
	return true;
}

bool
hf_async_next(struct hf *hf, struct hf_event *e)
{
	struct client_async *a = hf->async;
	struct client_request *r;
	bool more;
	memset(e, 0, sizeof *e);
	if (line_told(a, e))
		return true;
	do
		if (message(hf, e, &more))
			return true;
	while (more);
	if (a->state == UP && hf->link.broken)
		lose(hf);
	if (line_told(a, e))
		return true;
	client_queue_expire(&a->queue, a->now_ms);
	if ((r = client_queue_done(&a->queue)) == NULL)
		return false;
	ended(hf, r, e);
	return true;
}

/* ---- the blocking calls on it ---- */

enum hf_outcome
client_async_receive(struct hf *hf, uint32_t *number, const struct hf_value **value)
{
	struct hf_event e;
	if (hf->async->watch.wanted)
		return client_fail(hf, HF_FAILED, "this connection watches: take its events with hf_async_next()");
	while (hf->in_flight > 0) {
		while (hf_async_next(hf, &e)) {
			if (e.kind != HF_ANSWER)
				continue;
			*number = e.number;
			*value = e.value;
			if (e.failure)
				hf->failure = *e.failure;
			return e.outcome;
		}
		hf_async_wait(hf, -1);
	}
	return client_fail(hf, HF_FAILED, "nothing is in flight");
}
