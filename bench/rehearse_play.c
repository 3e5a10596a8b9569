/* rehearse_play.c: when what leaves, and the loop. The contract is in rehearse_play.h. */
#define _GNU_SOURCE /* ppoll */
#include "bench/rehearse_play.h"
#include "bench/rehearse_machine.h"
#include "net/clock.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define QUANTUM_NS 100000 /* so long it sleeps at least: one that wakes for each request would take the server's processor */
#define LOOK_AGAIN 32 /* requests between two looks at the clock */
#define READY_MAX 256
#define TELL_NS 100000000
#define INTERRUPT_MS 2000 /* for answers, after Ctrl-C */
#define REQUEST_WORD UINT32_C(0x80000000) /* in the word of a request to the gate */
#define NONE UINT32_MAX
#define CLOCK_TRIES 20

int64_t
play_now(const struct play *p)
{
	return clock_steady_ns() - p->begun_ns;
}

void
play_break(struct play *p, const char *format, ...)
{
	va_list args;
	if (p->broke_off)
		return;
	p->broke_off = true;
	va_start(args, format);
	vsnprintf(p->why.text, sizeof p->why.text, format, args);
	va_end(args);
}

/* ---- what is to be done later: a heap by due_ns ---- */

static bool
todo_before(const struct todo *a, const struct todo *b)
{
	return a->due_ns < b->due_ns;
}

void
play_later(struct play *p, int64_t due_ns, uint32_t shopper, enum step step)
{
	const struct todo todo = { due_ns, shopper, (uint8_t)step };
	uint32_t at = p->todos_n;
	p->todos = plan_grow(p->todos, at, &p->todos_room, sizeof *p->todos);
	if (!p->todos) {
		p->todos_n = p->todos_room = 0;
		play_break(p, "no memory");
		return;
	}
	for (p->todos_n++; at > 0 && todo_before(&todo, &p->todos[(at - 1) / 2]); at = (at - 1) / 2)
		p->todos[at] = p->todos[(at - 1) / 2];
	p->todos[at] = todo;
}

static struct todo
todo_take(struct play *p)
{
	struct todo first = p->todos[0], last = p->todos[--p->todos_n];
	uint32_t at = 0;
	for (uint32_t child; (child = 2 * at + 1) < p->todos_n; at = child) {
		child += child + 1 < p->todos_n && todo_before(&p->todos[child + 1], &p->todos[child]);
		if (!todo_before(&p->todos[child], &last))
			break;
		p->todos[at] = p->todos[child];
	}
	p->todos[at] = last;
	return first;
}

/* ---- requests ---- */

/* The number of a new one; NONE: too many are without an answer. */
static uint32_t
request_new(struct play *p, enum step step, uint32_t index, int64_t due_ns, int64_t now)
{
	uint32_t number = p->requests_free;
	if (number != NONE)
		p->requests_free = p->requests[number].index;
	else if (p->requests_made < REQUESTS_MAX)
		number = p->requests_made++;
	else {
		play_break(p, "%u requests without an answer: the server does not keep up, and refuses nothing", REQUESTS_MAX);
		return NONE;
	}
	p->requests[number] = (struct request){ due_ns, now, index, (uint8_t)step, true };
	p->under_way += step != STEP_WATCH; /* a look at the stock keeps nobody waiting */
	return number;
}

static void
put_look(struct play *p, struct buffer *to, uint32_t number, const struct shopper *s)
{
	uint32_t cells[1000], n = (uint32_t)p->scenario->read_cells;
	for (uint32_t i = 0; i < n; i++)
		cells[i] = s->warm ? p->plan->cells_n - 1 : plan_look(p->plan, &p->random);
	talk_look(to, number, p->plan, cells, n);
}

/* One request of a shopper, put behind the others of its link. */
static void
ask_once(struct play *p, uint32_t index, enum step step, int64_t due_ns, int64_t now)
{
	static const char *const method[] = { [STEP_COMMIT] = "commit", [STEP_FULFIL] = "fulfil", [STEP_RELEASE] = "release" };
	struct shopper *s = &p->plan->shoppers[index];
	struct buffer *to = &p->links[index % p->scenario->connections].out;
	uint32_t number = request_new(p, step, index, due_ns, now);
	if (number == NONE)
		return;
	if (step == STEP_HOLD)
		talk_hold(to, number, p->plan, index);
	else if (step == STEP_LOOK)
		put_look(p, to, number, s);
	else
		talk_settle(to, number, method[step], p->plan, index);
	s->waiting++;
	if (s->warm)
		return;
	p->counts.asked++;
	series_asked(&p->series, due_ns, now);
}

static void
ask(struct play *p, uint32_t index, enum step step, int64_t due_ns, int64_t now)
{
	struct shopper *s = &p->plan->shoppers[index];
	bool first = s->state == SHOPPER_TO_COME;
	if (first) {
		s->state = SHOPPER_ASKED;
		s->asked_ns = now;
	}
	ask_once(p, index, step, due_ns, now);
	/* Without an id of its own, or undone by a refusal, a repeat would be another request (R3). */
	if (!s->twice || !(step == STEP_COMMIT || (step == STEP_HOLD && first)) || p->broke_off)
		return;
	p->counts.twice += !s->warm;
	ask_once(p, index, step, due_ns, now);
}

static void
message_put_once(struct play *p, uint32_t index, int64_t due_ns, int64_t now)
{
	const struct till_message *m = &p->plan->messages[index];
	struct link *k = &p->links[p->scenario->connections + m->till];
	uint32_t number = request_new(p, STEP_MESSAGE, index, due_ns, now);
	if (number == NONE)
		return;
	size_t begun = link_begin(k);
	talk_message(&k->out, p->plan, m);
	link_end(k, begun, number | REQUEST_WORD);
	p->counts.asked++;
	series_asked(&p->series, due_ns, now);
}

static void
message_put(struct play *p, uint32_t index, int64_t now)
{
	const struct till_message *m = &p->plan->messages[index];
	message_put_once(p, index, m->due_ns, now);
	if (!m->twice || p->broke_off)
		return;
	p->counts.twice++;
	message_put_once(p, index, m->due_ns, now);
}

/* ---- what is due ---- */

static void
arrive(struct play *p, uint32_t index, int64_t due_ns, int64_t now)
{
	struct shopper *s = &p->plan->shoppers[index];
	struct interval *i = series_at(&p->series, due_ns);
	if (i && !s->warm)
		i->arrivals++;
	s->due_ns = due_ns;
	ask(p, index, s->looks ? STEP_LOOK : STEP_HOLD, due_ns, now);
}

static bool
shopper_is_due(const struct play *p, int64_t now)
{
	if (p->next_shopper >= p->plan->shoppers_n)
		return false;
	if (p->scenario->closed)
		return now < p->plan->duration_ns && p->under_way < (uint64_t)(p->scenario->connections * p->scenario->in_flight);
	return p->plan->shoppers[p->next_shopper].due_ns <= now;
}

/* What a shopper wants next goes before new ones: it is older. Flushes now and then, so that the first need not wait for the last. */
static void
send_due(struct play *p)
{
	int64_t now = play_now(p);
	for (uint32_t sent = 1; !p->broke_off; sent++) {
		if (p->todos_n > 0 && p->todos[0].due_ns <= now) {
			struct todo t = todo_take(p);
			ask(p, t.shopper, t.step, t.due_ns, now);
		} else if (p->next_message < p->plan->messages_n && p->plan->messages[p->next_message].due_ns <= now)
			message_put(p, p->next_message++, now);
		else if (shopper_is_due(p, now)) {
			arrive(p, p->next_shopper, p->scenario->closed ? now : p->plan->shoppers[p->next_shopper].due_ns, now);
			p->next_shopper++;
		} else
			return;
		if (sent % LOOK_AGAIN == 0)
			now = play_now(p);
		if (sent % (LOOK_AGAIN * 8) == 0)
			return;
	}
}

static void
flush_all(struct play *p)
{
	for (uint32_t i = 0; i < p->links_n && !p->broke_off; i++)
		if (p->links[i].out.used > 0 && !p->links[i].waits && link_flush(&p->links[i], i) < 0)
			play_break(p, "the %s closed a connection", p->links[i].gate ? "gate" : "server");
}

static int64_t
next_due(const struct play *p)
{
	int64_t due = p->sample_ns;
	if (p->todos_n > 0 && p->todos[0].due_ns < due)
		due = p->todos[0].due_ns;
	if (p->next_message < p->plan->messages_n && p->plan->messages[p->next_message].due_ns < due)
		due = p->plan->messages[p->next_message].due_ns;
	if (!p->scenario->closed && p->next_shopper < p->plan->shoppers_n && p->plan->shoppers[p->next_shopper].due_ns < due)
		due = p->plan->shoppers[p->next_shopper].due_ns;
	return due;
}

/* Sleeps until something is due or comes, and takes what has come. */
static void
wait_and_take(struct play *p)
{
	struct epoll_event ready[READY_MAX];
	struct pollfd any = { .fd = p->epoll, .events = POLLIN };
	int64_t wait_ns = next_due(p) - play_now(p);
	if (wait_ns > 0) {
		wait_ns = wait_ns > QUANTUM_NS ? wait_ns : QUANTUM_NS;
		const struct timespec wait = { wait_ns / 1000000000, wait_ns % 1000000000 };
		ppoll(&any, 1, &wait, NULL);
	}
	int n = epoll_wait(p->epoll, ready, READY_MAX, 0);
	for (int i = 0; i < n && !p->broke_off; i++) {
		struct link *k = &p->links[ready[i].data.u32];
		if (ready[i].events & EPOLLOUT && link_flush(k, ready[i].data.u32) < 0)
			play_break(p, "the %s closed a connection", k->gate ? "gate" : "server");
		if (!(ready[i].events & ~(uint32_t)EPOLLOUT))
			continue;
		if (link_read(k) < 0)
			play_break(p, "the %s closed a connection", k->gate ? "gate" : "server");
		take_all(p, k);
	}
}

/* ---- samples ---- */

struct looks {
	struct usage server, gate, client;
	double busy_s;
	int64_t at_ns;
	bool server_known, gate_known;
};

static void
look(const struct play *p, struct looks *l)
{
	*l = (struct looks){ .at_ns = play_now(p) };
	l->server_known = p->target.server_pid > 0 && machine_usage(p->target.server_pid, &l->server);
	l->gate_known = p->target.server_pid > 0 && p->plan->tills_n > 0 && machine_usage_below(p->target.server_pid, &l->gate);
	machine_usage(0, &l->client);
	l->busy_s = machine_busy_s();
}

static double
processors(double before_s, double after_s, const struct looks *a, const struct looks *b)
{
	return b->at_ns > a->at_ns ? (after_s - before_s) / ((double)(b->at_ns - a->at_ns) / 1e9) : 0;
}

static void
watch_stock(struct play *p, uint32_t interval, int64_t now)
{
	struct link *k = &p->links[p->links_n - 1];
	uint32_t number = request_new(p, STEP_WATCH, interval, now, now);
	if (number != NONE)
		talk_look(&k->out, number, p->plan, p->watched, p->watched_n);
}

static void
sample_put(struct play *p, struct interval *i, const struct looks *before, const struct looks *l)
{
	i->sampled = true;
	i->in_flight = p->under_way;
	i->client_cpu = processors(before->client.cpu_s, l->client.cpu_s, before, l);
	i->server_cpu = l->server_known ? processors(before->server.cpu_s, l->server.cpu_s, before, l) : -1;
	i->gate_cpu = l->gate_known ? processors(before->gate.cpu_s, l->gate.cpu_s, before, l) : -1;
	i->server_rss_bytes = l->server_known ? l->server.rss_bytes : -1;
	i->gate_rss_bytes = l->gate_known ? l->gate.rss_bytes : -1;
	p->rss_peak_bytes = i->server_rss_bytes > p->rss_peak_bytes ? i->server_rss_bytes : p->rss_peak_bytes;
}

/* What was used since the last sample belongs to the interval that ends now: to several, if this is late. */
static void
sample(struct play *p, struct looks *before)
{
	struct looks l;
	struct interval *i = NULL;
	look(p, &l);
	for (; p->sample_ns <= l.at_ns; p->sample_ns += p->series.interval_ns)
		if ((i = series_at(&p->series, p->sample_ns - 1)))
			sample_put(p, i, before, &l);
	if (i)
		watch_stock(p, (uint32_t)(i - p->series.at), play_now(p));
	*before = l;
}

/* ---- the loop ---- */

static void
curve_over(struct play *p, const struct looks *first, int64_t played_ns)
{
	struct looks last;
	look(p, &last);
	p->played_ns = played_ns;
	p->client_cpu = processors(first->client.cpu_s, last.client.cpu_s, first, &last);
	p->server_cpu = last.server_known ? processors(first->server.cpu_s, last.server.cpu_s, first, &last) : -1;
	double gate = last.gate_known ? processors(first->gate.cpu_s, last.gate.cpu_s, first, &last) : 0;
	double others = processors(first->busy_s, last.busy_s, first, &last) - p->client_cpu - p->server_cpu - gate;
	p->others_cpu = !last.server_known || last.busy_s < 0 ? -1 : others > 0 ? others : 0;
}

static bool
all_done(const struct play *p)
{
	bool come = p->next_shopper >= p->plan->shoppers_n || (p->scenario->closed && play_now(p) >= p->plan->duration_ns);
	return come && p->next_message >= p->plan->messages_n && p->todos_n == 0 && p->under_way == 0;
}

/* How long it may go on behind the curve: everybody thinks twice, and is patient. */
static int64_t
drain_ns(const struct scenario *s)
{
	return (s->think_ms * 3 + s->patience_ms + DRAIN_MS) * 1000000;
}

/* Nobody comes any more; answers are waited for a little. The new end. */
static int64_t
interrupt(struct play *p, int64_t now)
{
	p->interrupted = true;
	p->next_shopper = p->plan->shoppers_n;
	p->next_message = p->plan->messages_n;
	p->todos_n = 0;
	return now + INTERRUPT_MS * 1000000;
}

static bool
goes_on(const struct play *p, int64_t now, int64_t end_ns)
{
	if (p->broke_off || now >= end_ns || (p->interrupted && p->under_way == 0))
		return false;
	return now < p->plan->duration_ns || !all_done(p);
}

static void
turn(struct play *p, int64_t now, int64_t *told_ns)
{
	send_due(p);
	flush_all(p);
	wait_and_take(p);
	if (p->tell && now - *told_ns >= TELL_NS) {
		*told_ns = now;
		p->tell(p, (double)now / 1e9, p->tell_context);
	}
}

static void
loop(struct play *p)
{
	struct looks before, first = { .at_ns = -1 };
	int64_t end_ns = p->plan->duration_ns + drain_ns(p->scenario), now, told_ns = INT64_MIN / 2;
	look(p, &before);
	while (goes_on(p, now = play_now(p), end_ns)) {
		if (*p->stop && !p->interrupted)
			end_ns = interrupt(p, now);
		if (now >= p->sample_ns)
			sample(p, &before);
		if (now >= 0 && first.at_ns < 0) {
			look(p, &before);
			first = before;
		}
		turn(p, now, &told_ns);
		if (now >= p->plan->duration_ns && p->played_ns == 0)
			curve_over(p, &first, p->plan->duration_ns);
	}
	if (p->played_ns == 0)
		curve_over(p, &first, now > 0 ? now : 1);
	p->plan->ended_ms = clock_wall_ms();
	p->counts.unanswered = p->under_way;
}

static int
links_open(struct play *p, struct why *why)
{
	uint32_t connections = (uint32_t)p->scenario->connections, n = connections + p->plan->tills_n + 1;
	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	p->links = calloc(n, sizeof *p->links);
	if (p->epoll < 0 || !p->links) {
		snprintf(why->text, sizeof why->text, "no memory for the connections");
		return -1;
	}
	for (; p->links_n < n; p->links_n++) {
		bool gate = p->links_n >= connections && p->links_n < n - 1;
		if (link_open(&p->links[p->links_n], p->target.host, gate ? p->target.events : p->target.rpc, gate, p->epoll, p->links_n, why) < 0)
			return -1;
	}
	return 0;
}

/* The curve begins so long from now, by both clocks: asked again until nobody came between the two questions. */
static void
clocks_meet(struct play *p, int64_t after_ns)
{
	int64_t least_ns = INT64_MAX;
	for (int i = 0; i < CLOCK_TRIES; i++) {
		int64_t before_ns = clock_steady_ns(), wall_ms = clock_wall_ms(), behind_ns = clock_steady_ns();
		if (behind_ns - before_ns >= least_ns)
			continue;
		least_ns = behind_ns - before_ns;
		p->begun_ns = before_ns + after_ns;
		p->plan->begun_ms = wall_ms + after_ns / 1000000;
	}
}

int
play_run(struct play *p, struct why *why)
{
	p->scenario = p->plan->scenario;
	p->epoll = -1;
	p->requests_free = NONE;
	p->random = 1;
	p->requests = calloc(REQUESTS_MAX, sizeof *p->requests);
	p->watched_n = plan_hottest(p->plan, p->watched, WATCHED_MAX);
	if (!p->requests || series_init(&p->series, p->plan->duration_ns, drain_ns(p->scenario)) < 0) {
		snprintf(why->text, sizeof why->text, "no memory for the run");
		return -1;
	}
	if (links_open(p, why) < 0)
		return -1;
	int64_t warm_ns = p->plan->shoppers_n > 0 && p->plan->shoppers[0].due_ns < 0 ? -p->plan->shoppers[0].due_ns : 0;
	clocks_meet(p, warm_ns + p->series.interval_ns);
	p->sample_ns = p->series.interval_ns;
	loop(p);
	return 0;
}

void
play_fini(struct play *p)
{
	for (uint32_t i = 0; i < p->links_n; i++)
		link_close(&p->links[i]);
	if (p->epoll >= 0)
		close(p->epoll);
	free(p->links);
	free(p->requests);
	free(p->todos);
	series_fini(&p->series);
	p->links = NULL, p->requests = NULL, p->todos = NULL;
	p->links_n = 0;
	p->epoll = -1;
}
