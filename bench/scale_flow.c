/*
 * scale_flow.c: the client. One thread, one epoll; requests are encoded once and their numbers patched in place.
 *
 * The open loop needs no list of what is to be done: reservation i is due at i / rate, and what becomes of it follows from i. So each
 * command is a stream of its own that walks over the same numbers, later by its delay:
 *
 *     reserve   at once         every i
 *     commit    after 1 s       i % 20 < 12
 *     release   after 1 s       12 <= i % 20 < 17
 *     fulfil    after 2 s       i % 20 < 12
 *
 * The others expire. All commands of a reservation take the same connection, in order.
 */
#define _GNU_SOURCE
#include "bench/scale.h"
#include "net/buffer.h"
#include "net/clock.h"
#include "net/codec_write.h"
#include "net/scanner.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SLOTS       (1u << 22) /* requests under way, by their msgid */
#define OUT_BYTES   (1 << 20) /* of requests that wait for a connection */
#define IN_BYTES    (1 << 18)
#define PIECE       64 /* neighbours take the same connection: fewer system calls */
#define TICK_NS     200000 /* so long the open loop sleeps between two looks: a client that spins would take the server's processor */
#define CYCLE       20
#define MEAN        2.45 /* commands of a reservation: 12/20 x 3 + 5/20 x 2 + 3/20 */
#define SILENCE_MS  20000

static const struct stream {
	const char *method;
	double delay_s;
	uint32_t first, end; /* of the cycle */
} streams[FLOW_COMMANDS] = {
	[FLOW_RESERVE] = { "reserve", 0, 0, CYCLE },
	[FLOW_COMMIT] = { "commit", 1, 0, 12 },
	[FLOW_RELEASE] = { "release", 1, 12, 17 },
	[FLOW_FULFIL] = { "fulfil", 2, 0, 12 },
};

struct template {
	uint8_t bytes[96];
	size_t n, id_at, sku_at, location_at;
};
#define MSGID_AT 3

struct link {
	int fd;
	uint8_t *in, *out;
	size_t in_used, out_at, out_used;
	bool waits; /* closed loop: for room to write */
};

struct flow {
	struct flow_options o;
	struct template of[FLOW_COMMANDS];
	struct link *links;
	int epoll;
	int64_t *due_ns; /* by slot; 0: free */
	uint64_t next_slot, under_way;
	uint64_t ids; /* the id of reservation 0 */
	uint64_t at[FLOW_COMMANDS]; /* the reservation that each stream comes to next */
	int64_t start_ns;
	struct flow_figures *to;
};

/* ---- requests ---- */

static void
template_make(struct template *t, enum flow_command command, int64_t ttl_ms)
{
	struct buffer b = { 0 };
	buffer_append(&b, "\x94\x00\xce\0\0\0\0", 7);
	put_text(&b, streams[command].method);
	put_array(&b, command == FLOW_RESERVE ? 3 : 1);
	t->id_at = b.used + 1;
	put_text(&b, "0000000000000000");
	if (command == FLOW_RESERVE) {
		put_array(&b, 1);
		put_array(&b, 3);
		t->sku_at = b.used + 2;
		put_text(&b, "S00000000");
		t->location_at = b.used + 2;
		put_text(&b, "L00");
		put_int(&b, 1);
		put_map(&b, 1);
		put_text(&b, "ttl_ms"), put_int(&b, ttl_ms);
	}
	ensure(b.used <= sizeof t->bytes);
	memcpy(t->bytes, b.at, b.used);
	t->n = b.used;
	buffer_fini(&b);
}

/* A cell for each number, all equally likely, and always the same one. */
static uint64_t
scatter(uint64_t i, uint64_t cells)
{
	i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint64_t)((unsigned __int128)(i ^ i >> 31) * cells >> 64);
}

static void
request_put(struct flow *f, struct link *k, enum flow_command command, uint64_t i, int64_t due_ns)
{
	const struct template *t = &f->of[command];
	uint8_t *r = k->out + k->out_used;
	uint32_t slot = (uint32_t)(f->next_slot++ % SLOTS), big = htonl(slot);
	if (f->due_ns[slot])
		scale_die("more requests under way than can be counted: the server does not keep up");
	f->due_ns[slot] = due_ns;
	f->under_way++;
	memcpy(r, t->bytes, t->n);
	memcpy(r + MSGID_AT, &big, sizeof big);
	digits_patch(r + t->id_at, ID_DIGITS, f->ids + i, 16);
	if (command == FLOW_RESERVE) {
		uint64_t cell = scatter(i, f->o.cells);
		digits_patch(r + t->sku_at, SKU_DIGITS, cell / SCALE_LOCATIONS, 10);
		digits_patch(r + t->location_at, LOCATION_DIGITS, cell % SCALE_LOCATIONS, 10);
	}
	k->out_used += t->n;
	f->to->sent[command]++;
}

/* ---- connections ---- */

static void
epoll_put(struct flow *f, struct link *k, int op)
{
	struct epoll_event e = { .events = EPOLLIN | (k->waits ? EPOLLOUT : 0), .data.ptr = k };
	if (epoll_ctl(f->epoll, op, k->fd, &e) != 0)
		scale_die("epoll: %s", strerror(errno));
}

static void
link_flush(struct flow *f, struct link *k)
{
	ssize_t n = k->out_used > k->out_at ? send(k->fd, k->out + k->out_at, k->out_used - k->out_at, MSG_NOSIGNAL) : 0;
	if (n < 0 && errno != EAGAIN)
		scale_die("the server closed a connection: %s", strerror(errno));
	k->out_at += n > 0 ? (size_t)n : 0;
	memmove(k->out, k->out + k->out_at, k->out_used - k->out_at);
	k->out_used -= k->out_at;
	k->out_at = 0;
	if (f->o.in_flight && k->waits != (k->out_used > 0)) {
		k->waits = k->out_used > 0;
		epoll_put(f, k, EPOLL_CTL_MOD);
	}
}

static void
link_open(struct flow *f, struct link *k)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(f->o.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int on = 1;
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(k->fd, (struct sockaddr *)&a, sizeof a) != 0)
		scale_die("cannot connect: %s", strerror(errno));
	setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(k->fd, F_SETFL, O_NONBLOCK);
	k->in = malloc(IN_BYTES);
	k->out = malloc(OUT_BYTES);
	if (!k->in || !k->out)
		scale_die("no memory");
	epoll_put(f, k, EPOLL_CTL_ADD);
}

/* ---- answers ---- */

static void
refusal_note(struct flow_figures *to, const uint8_t *error, const uint8_t *end)
{
	to->refused++;
	if (to->code[0] || end - error < 3 || (error[0] & 0xf0) != 0x90 || (error[1] & 0xe0) != 0xa0)
		return;
	size_t n = error[1] & 31;
	if (error + 2 + n <= end)
		memcpy(to->code, error + 2, n < sizeof to->code - 1 ? n : sizeof to->code - 1);
}

/* [1, msgid, error, result]; the msgid comes back in the shortest form. */
static void
answer_take(struct flow *f, const uint8_t *a, size_t n, int64_t now)
{
	const uint8_t *p = a + 2;
	uint32_t slot = *p;
	int width = *p <= 0x7f ? 0 : *p == 0xcc ? 1 : *p == 0xcd ? 2 : 4;
	if (width)
		slot = 0;
	for (int i = 1; i <= width; i++)
		slot = slot << 8 | p[i];
	p += 1 + width;
	if (a[0] != 0x94 || a[1] != 1 || slot >= SLOTS || f->due_ns[slot] == 0)
		scale_die("an answer to nothing that was asked");
	histogram_add(&f->to->waited, (uint64_t)(now > f->due_ns[slot] ? now - f->due_ns[slot] : 0));
	f->due_ns[slot] = 0;
	f->under_way--;
	f->to->answers++;
	if (*p != 0xc0)
		refusal_note(f->to, p, a + n);
}

static bool
may_reserve(const struct flow *f)
{
	return f->o.limit == 0 || f->at[FLOW_RESERVE] < f->o.limit;
}

static void
link_read(struct flow *f, struct link *k, bool ask_again)
{
	ssize_t n = recv(k->fd, k->in + k->in_used, IN_BYTES - k->in_used, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		scale_die("the server closed a connection: %s", n ? strerror(errno) : "end");
	int64_t now = clock_steady_ns();
	size_t at = 0, end;
	struct scanner scanner;
	k->in_used += n > 0 ? (size_t)n : 0;
	for (; at < k->in_used; at += end) {
		scanner_init(&scanner);
		if (scanner_scan(&scanner, k->in + at, k->in_used - at, IN_BYTES, &end) != SCAN_WHOLE)
			break;
		answer_take(f, k->in + at, end, now);
		if (ask_again && may_reserve(f))
			request_put(f, k, FLOW_RESERVE, f->at[FLOW_RESERVE]++, now);
	}
	memmove(k->in, k->in + at, k->in_used - at);
	k->in_used -= at;
}

static void
answers_wait(struct flow *f, int wait_ms, bool ask_again)
{
	struct epoll_event ready[64];
	int n = epoll_wait(f->epoll, ready, 64, wait_ms);
	if (n == 0 && wait_ms == SILENCE_MS)
		scale_die("no answer for %d s", SILENCE_MS / 1000);
	for (int i = 0; i < n; i++) {
		if (ready[i].events & ~(uint32_t)EPOLLOUT)
			link_read(f, ready[i].data.ptr, ask_again);
		if (f->o.in_flight)
			link_flush(f, ready[i].data.ptr);
	}
}

/* ---- the open loop ---- */

/* What this stream has to send by now; it stops where a connection has no room, and goes on from there. */
static void
stream_send(struct flow *f, enum flow_command command, int64_t now)
{
	const struct stream *s = &streams[command];
	double holds = f->o.rate / (f->o.closes ? MEAN : 1), since_s = (double)(now - f->start_ns) / 1e9 - s->delay_s;
	uint64_t due = since_s > 0 ? (uint64_t)(since_s * holds) : 0;
	for (uint64_t *i = &f->at[command]; *i < due; ++*i) {
		struct link *k = &f->links[*i / PIECE % f->o.connections];
		if (*i % CYCLE < s->first || *i % CYCLE >= s->end)
			continue;
		if (OUT_BYTES - k->out_used < sizeof f->of[command].bytes)
			return;
		request_put(f, k, command, *i, f->start_ns + (int64_t)((s->delay_s + (double)*i / holds) * 1e9));
	}
}

static void
open_run(struct flow *f, int64_t end_ns)
{
	const struct timespec tick = { 0, TICK_NS };
	int64_t now;
	while ((now = clock_steady_ns()) < end_ns) {
		for (enum flow_command c = 0; c < FLOW_COMMANDS; c++)
			if (c == FLOW_RESERVE || f->o.closes)
				stream_send(f, c, now);
		for (uint32_t i = 0; i < f->o.connections; i++)
			if (f->links[i].out_used)
				link_flush(f, &f->links[i]);
		answers_wait(f, 0, false);
		nanosleep(&tick, NULL);
	}
}

static void
closed_run(struct flow *f, int64_t end_ns)
{
	bool first = f->at[FLOW_RESERVE] == 0;
	for (uint32_t i = 0; first && i < f->o.connections; i++) {
		for (uint32_t n = 0; n < f->o.in_flight && may_reserve(f); n++)
			request_put(f, &f->links[i], FLOW_RESERVE, f->at[FLOW_RESERVE]++, clock_steady_ns());
		link_flush(f, &f->links[i]);
	}
	while (clock_steady_ns() < end_ns && (f->under_way || may_reserve(f)))
		answers_wait(f, SILENCE_MS, true);
}

/* ---- outside ---- */

struct flow *
flow_open(const struct flow_options *o)
{
	struct flow *f = calloc(1, sizeof *f);
	if (!f || !(f->links = calloc(o->connections, sizeof *f->links)) || !(f->due_ns = calloc(SLOTS, sizeof *f->due_ns)))
		scale_die("no memory");
	if (o->in_flight && o->in_flight * sizeof f->of->bytes > OUT_BYTES)
		scale_die("too many in flight");
	f->o = *o;
	f->ids = (uint64_t)clock_wall_ms() << 22; /* ids of another run do not meet these */
	f->epoll = epoll_create1(EPOLL_CLOEXEC);
	for (enum flow_command c = 0; c < FLOW_COMMANDS; c++)
		template_make(&f->of[c], c, o->ttl_ms);
	for (uint32_t i = 0; i < o->connections; i++)
		link_open(f, &f->links[i]);
	f->start_ns = clock_steady_ns();
	return f;
}

void
flow_run(struct flow *f, double seconds, struct flow_figures *to)
{
	int64_t end_ns = clock_steady_ns() + (int64_t)(seconds * 1e9);
	f->to = to;
	if (f->o.in_flight)
		closed_run(f, end_ns);
	else
		open_run(f, end_ns);
}

uint64_t
flow_close(struct flow *f, struct flow_figures *to)
{
	int64_t give_up_ns = clock_steady_ns() + INT64_C(1000000) * SILENCE_MS;
	f->to = to;
	while (f->under_way && clock_steady_ns() < give_up_ns) {
		for (uint32_t i = 0; i < f->o.connections; i++)
			link_flush(f, &f->links[i]);
		answers_wait(f, 1, false);
	}
	uint64_t missing = f->under_way;
	for (uint32_t i = 0; i < f->o.connections; i++) {
		close(f->links[i].fd);
		free(f->links[i].in);
		free(f->links[i].out);
	}
	close(f->epoll);
	free(f->links);
	free(f->due_ns);
	free(f);
	return missing;
}
