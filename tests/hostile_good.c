/*
 * hostile_good.c: the good client. Checkouts on CONNECTIONS connections: each holds a unit, reads the cell, makes the hold firm, in
 * this order, so that there is one right answer to each request. A till beside them posts receipts through the gate.
 *
 * An open loop: request k is due at its instant whatever became of those before. The histogram that an answer counts in is chosen
 * when its request is due. `oldest_ns` tells the one who measures when nothing older is under way (released by the thread behind its
 * writes to the histograms, acquired by good_measure).
 */
#define _GNU_SOURCE
#include "tests/hostile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "net/clock.h"
#include "net/codec_read.h"
#include "net/codec_write.h"
#include "net/gate_post.h"
#include "net/scanner.h"
#include "tests/peer.h"
#include "tests/wire_text.h"

#define CONNECTIONS 4
#define UNDER_WAY_MAX 65536 /* requests without an answer; a power of two */
#define TILL_UNDER_WAY_MAX 8192
#define STOCK_UNITS 2000000000
#define CROWD 4000 /* cells that make answers of a scan long */
#define LAST_ANSWERS_MS 60000
#define KINDS 3 /* reserve, ats, commit */

struct asked_at {
	int64_t due_ns;
	struct histogram *in;
	bool waits, hold;
};

struct good {
	const struct server *server;
	int64_t step_ns;
	uint64_t run; /* ids of one run do not meet those of another over the same folder */
	struct peer peers[CONNECTIONS];
	struct asked_at asked[UNDER_WAY_MAX], events[TILL_UNDER_WAY_MAX];
	uint64_t oldest; /* request */
	struct good_account checkouts, till; /* a thread each */
	pthread_t checkout_thread, till_thread;
	uint64_t granted;
	_Atomic bool over;
	_Atomic(struct histogram *) measure, till_measure;
	_Atomic int64_t oldest_ns, till_oldest_ns; /* INT64_MAX: nothing under way and nothing more will come */
};

static void
wrong(struct good_account *a, uint64_t *which, const char *what)
{
	if (!a->first[0])
		snprintf(a->first, sizeof a->first, "%.150s", what);
	++*which;
}

/* ---- checkouts ---- */

/* Request k: its connection's next step. The commit is of the hold two rounds before. */
static void
ask(struct good *g, uint64_t k)
{
	struct peer *p = &g->peers[k % CONNECTIONS];
	unsigned kind = (unsigned)(k / CONNECTIONS % KINDS), msgid = (unsigned)(k % UNDER_WAY_MAX);
	if (kind == 0)
		peer_write(p, "[0,%u,'reserve',['good-%llx-%llu',[['GOOD','SHOP',1]],{'ttl_ms':3600000}]]", msgid, (unsigned long long)g->run,
		    (unsigned long long)k);
	else if (kind == 1)
		peer_write(p, "[0,%u,'ats',[[['GOOD','SHOP']]]]", msgid);
	else
		peer_write(p, "[0,%u,'commit',['good-%llx-%llu']]", msgid, (unsigned long long)g->run, (unsigned long long)(k - 2 * CONNECTIONS));
}

/* [1, msgid, nil, result]: an error of any kind is a wrong answer to these requests. */
static void
take_answer(struct good *g, const uint8_t *bytes, size_t n)
{
	struct reader r = { bytes, bytes + n };
	uint32_t parts;
	int64_t type, msgid = -1;
	bool sound = reader_array(&r, &parts) && parts == 4 && reader_int(&r, &type) && type == 1 && reader_int_in(&r, 0, UNDER_WAY_MAX - 1, &msgid);
	struct asked_at *asked = sound ? &g->asked[msgid] : NULL;
	if (!asked || !asked->waits) {
		wrong(&g->checkouts, &g->checkouts.wrong, "an answer to nothing that was asked");
		return;
	}
	asked->waits = false;
	g->checkouts.answered++;
	if (!reader_nil(&r)) {
		struct bytes code = { (const uint8_t *)"no code", 7 };
		char text[64];
		if (reader_array(&r, &parts))
			reader_str(&r, &code);
		snprintf(text, sizeof text, "request %lld: %.*s", (long long)msgid, (int)code.n, (const char *)code.at);
		wrong(&g->checkouts, &g->checkouts.wrong, text);
	} else
		g->granted += asked->hold;
	if (asked->in)
		histogram_add(asked->in, clock_steady_ns() - asked->due_ns);
}

/* False: the connection is over. */
static bool
read_answers(struct good *g, struct peer *p)
{
	uint8_t *room = buffer_room(&p->in, 65536);
	ssize_t n = recv(p->fd, room, 65536, MSG_DONTWAIT);
	size_t end = 0;
	if (n <= 0)
		return n < 0 && errno == EAGAIN;
	p->in.used += (size_t)n;
	for (struct scanner s; scanner_init(&s), p->in.used > 0 && scanner_scan(&s, p->in.at, p->in.used, SIZE_MAX, &end) == SCAN_WHOLE;) {
		take_answer(g, p->in.at, end);
		buffer_consume(&p->in, end);
	}
	return true;
}

static void
oldest_show(struct good *g, uint64_t next, int64_t next_due_ns)
{
	while (g->oldest < next && !g->asked[g->oldest % UNDER_WAY_MAX].waits)
		g->oldest++;
	int64_t oldest_ns = g->oldest < next ? g->asked[g->oldest % UNDER_WAY_MAX].due_ns : next_due_ns;
	atomic_store_explicit(&g->oldest_ns, oldest_ns, memory_order_release);
}

/* Waits until `until_ns` for answers and takes them. */
static void
wait_answers(struct good *g, int64_t until_ns)
{
	struct pollfd fds[CONNECTIONS];
	int64_t left = until_ns - clock_steady_ns();
	struct timespec bound = { left > 0 ? left / 1000000000 : 0, left > 0 ? left % 1000000000 : 0 };
	for (int i = 0; i < CONNECTIONS; i++)
		fds[i] = (struct pollfd){ .fd = g->peers[i].fd, .events = POLLIN };
	if (ppoll(fds, CONNECTIONS, &bound, NULL) <= 0)
		return;
	for (int i = 0; i < CONNECTIONS; i++)
		if (fds[i].revents && !read_answers(g, &g->peers[i])) {
			wrong(&g->checkouts, &g->checkouts.broken, "the server ended a good client's connection");
			peer_close(&g->peers[i]);
		}
}

static void *
checkouts_run(void *arg)
{
	struct good *g = arg;
	int64_t start_ns = clock_steady_ns(), last_ns = INT64_MAX;
	uint64_t k = 0;
	while (g->checkouts.broken == 0) {
		int64_t now_ns = clock_steady_ns(), due_ns = start_ns + (int64_t)k * g->step_ns;
		bool over = atomic_load(&g->over) && k % (CONNECTIONS * KINDS) == 0; /* whole rounds: each hold has its commit */
		if (over && last_ns == INT64_MAX)
			last_ns = now_ns + LAST_ANSWERS_MS * INT64_C(1000000);
		if (!over && now_ns >= due_ns && k - g->oldest < UNDER_WAY_MAX) {
			g->asked[k % UNDER_WAY_MAX] = (struct asked_at){ due_ns, atomic_load(&g->measure), true, k / CONNECTIONS % KINDS == 0 };
			ask(g, k);
			peer_flush(&g->peers[k % CONNECTIONS]);
			k++;
			g->checkouts.asked++;
			continue;
		}
		wait_answers(g, over ? now_ns + 1000000 : due_ns);
		oldest_show(g, k, over ? INT64_MAX : start_ns + (int64_t)k * g->step_ns);
		if (over && (g->oldest == k || now_ns > last_ns))
			break;
	}
	atomic_store_explicit(&g->oldest_ns, INT64_MAX, memory_order_release);
	return NULL;
}

/* ---- the till ---- */

static bool
till_send(struct good *g, struct gate_post *post, uint64_t n)
{
	struct buffer b = { 0 };
	char text[200];
	struct why why;
	snprintf(text, sizeof text, "{'source':'till-%llx','n':%llu,'kind':'receipt','sku':'TILL','location':'SHOP','qty':1}",
	    (unsigned long long)g->run, (unsigned long long)n);
	wire_from_text(&b, text);
	int sent = gate_post_send(post, n, b.at, b.used, &why);
	buffer_fini(&b);
	return sent == 1;
}

static void
till_take(struct good *g, uint64_t n, const uint8_t *reply, size_t bytes)
{
	struct asked_at *asked = &g->events[n % TILL_UNDER_WAY_MAX];
	asked->waits = false;
	g->till.events_answered++;
	if (!memmem(reply, bytes, "applied", 7) && !memmem(reply, bytes, "duplicate", 9))
		wrong(&g->till, &g->till.events_wrong, "a till's receipt was not applied");
	if (asked->in)
		histogram_add(asked->in, clock_steady_ns() - asked->due_ns);
}

static void *
till_run(void *arg)
{
	struct good *g = arg;
	struct why why;
	struct gate_post *post = gate_post_open("127.0.0.1", g->server->events, &why);
	int64_t start_ns = clock_steady_ns(), last_ns = INT64_MAX, step_ns = g->step_ns * 10;
	uint64_t n = 1, oldest = 1;
	while (post) {
		int64_t now_ns = clock_steady_ns(), due_ns = start_ns + (int64_t)n * step_ns;
		bool over = atomic_load(&g->over);
		if (over && last_ns == INT64_MAX)
			last_ns = now_ns + LAST_ANSWERS_MS * INT64_C(1000000);
		if (!over && now_ns >= due_ns && n - oldest < TILL_UNDER_WAY_MAX) {
			g->events[n % TILL_UNDER_WAY_MAX] = (struct asked_at){ due_ns, atomic_load(&g->till_measure), true, false };
			if (till_send(g, post, n)) {
				n++;
				g->till.events++;
			}
		}
		const uint8_t *reply;
		size_t bytes;
		uint64_t number;
		int got = gate_post_receive(post, now_ns < due_ns || over ? 1 : 0, &number, &reply, &bytes, &why);
		if (got > 0)
			till_take(g, number, reply, bytes);
		while (oldest < n && !g->events[oldest % TILL_UNDER_WAY_MAX].waits)
			oldest++;
		atomic_store_explicit(&g->till_oldest_ns, oldest < n ? g->events[oldest % TILL_UNDER_WAY_MAX].due_ns : over ? INT64_MAX : due_ns,
		    memory_order_release);
		if (got < 0 || (over && (oldest == n || now_ns > last_ns)))
			break;
	}
	if (!post)
		wrong(&g->till, &g->till.events_wrong, why.text);
	gate_post_close(post);
	atomic_store_explicit(&g->till_oldest_ns, INT64_MAX, memory_order_release);
	return NULL;
}

/* ---- both ---- */

static bool
fill_stock(struct good *g)
{
	struct peer *p = &g->peers[0];
	bool good = wire_like(peer_ask(p, "[0,1,'post',[[{'source':'stock-%llx','n':1,'kind':'receipt','sku':'GOOD','location':'SHOP','qty':%d}]]]",
	    (unsigned long long)g->run, STOCK_UNITS), "[1, 1, nil, [*, [\"applied\"]]]");
	for (int n = 0; good && n < CROWD; n++) {
		peer_write(p, "[0,%d,'post',[[{'source':'crowd-%llx','n':%d,'kind':'receipt','sku':'CROWD-%d','location':'SHOP','qty':1}]]]", n,
		    (unsigned long long)g->run, n + 1, n);
		if (n % 100 == 99) {
			peer_flush(p);
			for (int k = 0; good && k < 100; k++)
				good = wire_like(peer_answer(p), "[1, *, nil, [*, [\"applied\"]]]");
		}
	}
	/* The answer shown last still stands in the buffer. */
	buffer_consume(&p->in, p->shown);
	p->shown = 0;
	return good;
}

struct good *
good_start(const struct server *s, unsigned a_second, struct why *why)
{
	struct good *g = calloc(1, sizeof *g);
	bool good = g != NULL;
	if (good) {
		*g = (struct good){ .server = s, .step_ns = INT64_C(1000000000) / a_second, .run = (uint64_t)clock_wall_ms() };
		for (int i = 0; i < CONNECTIONS; i++)
			good &= peer_open(&g->peers[i], s->rpc);
		good = good && fill_stock(g);
	}
	if (!good || pthread_create(&g->checkout_thread, NULL, checkouts_run, g) != 0 || pthread_create(&g->till_thread, NULL, till_run, g) != 0) {
		snprintf(why->text, sizeof why->text, "the good client cannot begin: no connection, or no stock");
		return NULL; /* the program ends now */
	}
	return g;
}

void
good_measure(struct good *g, struct histogram *checkout, struct histogram *till)
{
	struct timespec pause = { 0, 1000000 };
	atomic_store(&g->measure, checkout);
	atomic_store(&g->till_measure, till);
	int64_t from_ns = clock_steady_ns();
	while (atomic_load_explicit(&g->oldest_ns, memory_order_acquire) < from_ns ||
	    atomic_load_explicit(&g->till_oldest_ns, memory_order_acquire) < from_ns)
		nanosleep(&pause, NULL);
}

/* The server's stock beside what was granted and posted. */
static void
compare(struct good *g, struct good_account *account)
{
	struct peer p;
	long long ats = -1, till = 0;
	if (!peer_open(&p, g->server->rpc) ||
	    sscanf(peer_ask(&p, "[0,1,'ats',[[['GOOD','SHOP'],['TILL','SHOP']]]]"), "[1, 1, nil, [%*d, [%lld, %lld", &ats, &till) < 1)
		wrong(account, &account->wrong, "no answer about the stock at the end");
	else if (ats != STOCK_UNITS - (long long)g->granted || (uint64_t)till != account->events) {
		char text[160];
		snprintf(text, sizeof text, "ats %lld, not %lld less %llu granted; till %lld of %llu", ats, (long long)STOCK_UNITS,
		    (unsigned long long)g->granted, till, (unsigned long long)account->events);
		wrong(account, &account->wrong, text);
	}
	peer_close(&p);
}

bool
good_stop(struct good *g, struct good_account *account)
{
	atomic_store(&g->over, true);
	pthread_join(g->checkout_thread, NULL);
	pthread_join(g->till_thread, NULL);
	for (int i = 0; i < CONNECTIONS; i++)
		peer_close(&g->peers[i]);
	*account = g->checkouts;
	account->events = g->till.events, account->events_answered = g->till.events_answered, account->events_wrong = g->till.events_wrong;
	if (!account->first[0])
		memcpy(account->first, g->till.first, sizeof account->first);
	compare(g, account);
	free(g);
	return account->wrong == 0 && account->broken == 0 && account->events_wrong == 0 && account->asked == account->answered &&
	    account->events == account->events_answered;
}
