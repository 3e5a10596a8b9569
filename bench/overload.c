/*
 * overload.c: proof that overload is answered, not suffered (P8). It starts a server of its own, finds out how many carts of 100 lines
 * a second it takes, offers half of that, ten times that, and half again, in an open loop (requests leave when they are due, whether
 * answers come or not, and latency counts from when they were due), and judges what it saw:
 *
 *   O1 carts taken under ten times the load are answered within twice the p99 of half the load
 *   O2 every other one is answered `overloaded` with a time
 *   O3 every commit, release and event sent meanwhile passes
 *   O4 of what is due a second after the load has ended and later, the p99 is within twice that of before; a refused one counts as one
 *      that was never answered
 *
 * Half, ten times, half make a round; O1 and O4 are ratios within a round, and the median of the rounds counts: one stall of a shared disk is
 * a round's whole p99.
 *
 * Carts end by themselves after CART_TTL_MS, and the tables are small enough for finished ones to be used again before the first figure is
 * taken, so that the server's state is as large at the end as at the beginning. The capacity is what it takes once its journal and image
 * are at work, too, with the same carts in the same order as later: few carts again and again would be taken faster, from the processor's
 * cache. One thread, one epoll; CARTS carts are encoded once, copied and their numbers patched. The exit code is the verdict.
 */
#define _GNU_SOURCE
#include "bench/overload.h"
#include "net/clock.h"
#include "net/codec_read.h"
#include "net/scanner.h"
#include "tests/spawn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS   16 /* one more for what must pass */
#define LINES         100
#define CART_TTL_MS   400
#define PASS_TICK_NS  10000000 /* one commit, one release, one event each */
#define PASS_A_SECOND (3 * (1000000000 / PASS_TICK_NS))
#define SLOTS         (1u << 22) /* requests under way, by their msgid */
#define CARTS         1024 /* different ones */
#define LAST_ANSWERS_MS 2000
#define CHUNK         16 /* carts in one piece that is sent */
#define TICK_NS       300000 /* so long it sleeps between two looks: a client that spins would take the server's processor */
#define IN_BYTES      (1 << 20)
#define PASS_BIT      0x80000000u /* msgid of what must pass */

struct link {
	int fd;
	uint8_t *in, *out; /* out: room for CHUNK carts */
	size_t in_used, out_at, out_used;
};

static struct bench {
	struct server server;
	struct link links[CONNECTIONS + 1];
	int epoll;
	struct phase *now; /* whose requests these are: answers that come later count for the phase they were sent in */
	struct { int64_t due_ns; struct phase *phase; } *slots;
	int64_t *pass_due_ns;
	uint64_t next, under_way, pass_next, random;
	struct buffer carts; /* CARTS of cart_bytes */
	size_t cart_bytes, msgid_at, id_at;
} b;

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "overload: %s\n", what);
	server_remove(&b.server);
	exit(2);
}

/* ---- requests ---- */

static void
cart_encode(struct buffer *to)
{
	char sku[16];
	size_t start = to->used;
	buffer_append(to, "\x94\x00\xce\0\0\0\0", 7);
	b.msgid_at = 3;
	put_text(to, "reserve");
	put_array(to, 3);
	b.id_at = to->used + 1 - start;
	put_text(to, "0000000000000000");
	put_array(to, LINES);
	for (int i = 0; i < LINES; i++) {
		b.random = b.random * 6364136223846793005u + 1442695040888963407u;
		snprintf(sku, sizeof sku, "S%05u", (unsigned)((b.random >> 33) % (CELLS / LINES) * LINES + (unsigned)i)); /* each once */
		put_array(to, 3);
		put_text(to, sku);
		put_text(to, "L");
		put_int(to, 1);
	}
	put_map(to, 1);
	put_key(to, "ttl_ms", CART_TTL_MS);
}

static void
number_patch(uint8_t *msgid, uint32_t number)
{
	uint32_t big = htonl(number);
	memcpy(msgid, &big, sizeof big);
}

/* The next cart, with its numbers, to the end of this connection's piece. */
static void
cart_put(struct link *k, int64_t due_ns)
{
	uint8_t *cart = k->out + k->out_used;
	uint64_t id = b.next++;
	uint32_t slot = (uint32_t)(id % SLOTS);
	memcpy(cart, b.carts.at + id % CARTS * b.cart_bytes, b.cart_bytes);
	number_patch(cart + b.msgid_at, slot);
	for (int i = 15; i >= 0; i--, id >>= 4)
		cart[b.id_at + (size_t)i] = (uint8_t)"0123456789abcdef"[id & 15];
	if (b.slots[slot].phase)
		die("more requests under way than can be counted");
	b.slots[slot].due_ns = due_ns;
	b.slots[slot].phase = b.now;
	b.under_way++;
	k->out_used += b.cart_bytes;
}

static bool
link_flush(struct link *k)
{
	ssize_t n = k->out_used > k->out_at ? send(k->fd, k->out + k->out_at, k->out_used - k->out_at, MSG_NOSIGNAL) : 0;
	if (n < 0 && errno != EAGAIN)
		die("the server closed a connection");
	k->out_at += n > 0 ? (size_t)n : 0;
	if (k->out_at < k->out_used)
		return false;
	k->out_at = k->out_used = 0;
	return true;
}

/* One commit, one release, one event, over the last link. */
static void
pass_put(int64_t now)
{
	static const char *const methods[] = { "commit", "release", "post" };
	struct buffer to = { 0 };
	char id[24];
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t number = (uint32_t)b.pass_next++;
		if (number >= PASS_MAX)
			die("it took too long");
		b.pass_due_ns[number] = now;
		put_array(&to, 4);
		put_uint(&to, 0);
		put_uint(&to, number | PASS_BIT);
		put_text(&to, methods[i]);
		put_array(&to, 1);
		snprintf(id, sizeof id, "p-%u", number);
		if (i < 2) {
			put_text(&to, id);
			continue;
		}
		put_map(&to, 6);
		put_text(&to, "source"), put_text(&to, "prove");
		put_key(&to, "n", number / 3 + 1);
		put_text(&to, "kind"), put_text(&to, "sale");
		put_text(&to, "sku"), put_text(&to, "S00001");
		put_text(&to, "location"), put_text(&to, "L");
		put_key(&to, "qty", 1);
	}
	if (send(b.links[CONNECTIONS].fd, to.at, to.used, MSG_NOSIGNAL) != (ssize_t)to.used)
		die("what must pass found no room");
	buffer_fini(&to);
}

/* ---- answers ---- */

/* The error at the reader: [code, message, detail]. Whether it is `overloaded`; *time: with one. */
static bool
is_overloaded(struct reader *r, bool *time)
{
	static const struct key keys[] = { KEY("retry_after_ms") };
	struct bytes code, message;
	uint32_t n, pairs;
	int64_t ms;
	int hint = 0;
	bool overloaded = reader_array(r, &n) && n == 3 && reader_str(r, &code) && code.n == 10 && memcmp(code.at, "overloaded", 10) == 0;
	*time = overloaded && reader_str(r, &message) && reader_map(r, &pairs) && pairs == 1 && reader_key(r, keys, 1, &hint) == 0 &&
	    reader_int_in(r, 1, 60000, &ms);
	return overloaded;
}

static void
window_count(struct phase *p, int64_t due_ns, int64_t now, bool taken)
{
	int64_t at = (due_ns - p->start_ns) / (WINDOW_MS * 1000000);
	if (at >= WINDOWS)
		return;
	if (taken)
		histogram_add(&p->windows[at].waited, (uint64_t)(now - due_ns));
	else
		p->windows[at].refused++;
}

static void
pass_answered(uint32_t number, bool taken, int64_t now)
{
	*(taken ? &b.now->passed : &b.now->passed_not) += 1;
	histogram_add(&b.now->pass_waited, (uint64_t)(now - b.pass_due_ns[number]));
}

static void
answered(const uint8_t *bytes, size_t n, int64_t now)
{
	struct reader r = { bytes, bytes + n };
	uint32_t parts;
	int64_t type, number;
	bool time = false;
	if (!reader_array(&r, &parts) || parts != 4 || !reader_int_in(&r, 1, 1, &type) || !reader_int_in(&r, 0, UINT32_MAX, &number))
		die("an answer that is none");
	bool taken = reader_nil(&r);
	if (number & PASS_BIT) {
		pass_answered((uint32_t)number & ~PASS_BIT, taken, now);
		return;
	}
	struct phase *p = b.slots[number].phase;
	int64_t due_ns = b.slots[number].due_ns;
	bool refused = !taken && is_overloaded(&r, &time);
	if (!p)
		die("an answer to nothing that was asked");
	b.slots[number].phase = NULL;
	b.under_way--;
	p->taken += taken;
	p->refused += refused;
	p->without_time += refused && !time;
	p->wrong += !taken && !refused;
	if (taken)
		histogram_add(&p->waited, (uint64_t)(now - due_ns));
	if (p->windows)
		window_count(p, due_ns, now, taken);
}

static void
link_read(struct link *k)
{
	ssize_t n = recv(k->fd, k->in + k->in_used, IN_BYTES - k->in_used, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("the server closed a connection");
	if (n < 0)
		return;
	int64_t now = clock_steady_ns();
	size_t at = 0, end;
	struct scanner scanner;
	k->in_used += (size_t)n;
	for (; at < k->in_used; at += end) {
		scanner_init(&scanner);
		if (scanner_scan(&scanner, k->in + at, k->in_used - at, IN_BYTES, &end) != SCAN_WHOLE)
			break;
		answered(k->in + at, end, now);
	}
	memmove(k->in, k->in + at, k->in_used - at);
	k->in_used -= at;
}

/* ---- phases ---- */

/* Carts that are due by now, as many as the links take, in turn. */
static void
carts_send(double rate, int64_t start, int64_t now)
{
	static unsigned turn; /* one link's piece after another: as few system calls as can be */
	struct phase *p = b.now;
	uint64_t due = (uint64_t)((double)(now - start) / 1e9 * rate);
	p->due = due > p->due ? due : p->due;
	for (unsigned tried = 0; tried < 4 * CONNECTIONS && p->sent < p->due; tried++, turn++) {
		struct link *k = &b.links[turn % CONNECTIONS];
		if (!link_flush(k))
			continue;
		uint64_t n = p->due - p->sent;
		for (n = n < CHUNK ? n : CHUNK; n > 0; n--, p->sent++)
			cart_put(k, start + (int64_t)((double)p->sent / rate * 1e9));
		link_flush(k);
	}
}

/* The capacity is found with so many under way: enough for the server to be busy all the time. */
static void
carts_closed(int64_t now)
{
	for (unsigned i = 0; b.under_way < CONNECTIONS * 4 && i < CONNECTIONS; i++)
		if (link_flush(&b.links[i])) {
			b.now->sent++;
			cart_put(&b.links[i], now);
			link_flush(&b.links[i]);
		}
}

static void
answers_take(int wait_ms)
{
	struct epoll_event ready[CONNECTIONS + 1];
	int n = epoll_wait(b.epoll, ready, CONNECTIONS + 1, wait_ms);
	for (int i = 0; i < n; i++)
		link_read(ready[i].data.ptr);
}

static void
phase_run(struct phase *p, double capacity)
{
	const struct timespec tick = { 0, TICK_NS };
	int64_t start = p->start_ns = clock_steady_ns(), end = start + (int64_t)(p->seconds * 1e9), pass_at = start, now;
	b.now = p;
	while ((now = clock_steady_ns()) < end) {
		if (now >= pass_at) {
			pass_put(now);
			pass_at += PASS_TICK_NS;
		}
		if (p->times > 0)
			carts_send(p->times * capacity, start, now);
		else
			carts_closed(now);
		answers_take(0);
		nanosleep(&tick, NULL);
	}
	p->took = (double)(clock_steady_ns() - start) / 1e9;
}

/* What was half sent must leave whole before others follow; the answers of a phase may come in the next one. */
static void
links_settle(void)
{
	for (unsigned i = 0; i < CONNECTIONS; i++)
		while (!link_flush(&b.links[i]))
			answers_take(0);
}

/* ---- the set-up ---- */

static void
link_open(struct link *k)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(b.server.rpc), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = k };
	int on = 1;
	k->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	k->in = malloc(IN_BYTES);
	k->out = malloc(CHUNK * b.cart_bytes);
	if (k->fd < 0 || connect(k->fd, (struct sockaddr *)&a, sizeof a) != 0 || epoll_ctl(b.epoll, EPOLL_CTL_ADD, k->fd, &e) != 0 || !k->in || !k->out)
		die("cannot connect");
	setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void
set_up(void)
{
	static const char *const arguments[] = { "--gate", "off", "--http", "off", "--journal-bytes-max", "0", "--reservations-max", "200000",
		"--extra-lines-max", "3000000", NULL };
	struct why why;
	if (server_init(&b.server, &why) < 0 || server_start(&b.server, arguments, &why) < 0)
		die(why.text);
	b.epoll = epoll_create1(EPOLL_CLOEXEC);
	b.slots = calloc(SLOTS, sizeof *b.slots);
	b.pass_due_ns = calloc(PASS_MAX, sizeof *b.pass_due_ns);
	if (b.epoll < 0 || !b.slots || !b.pass_due_ns)
		die("no memory");
	for (int i = 0; i < CARTS; i++)
		cart_encode(&b.carts);
	b.cart_bytes = b.carts.used / CARTS;
	for (int i = 0; i <= CONNECTIONS; i++)
		link_open(&b.links[i]);
	const char *wrong = overload_fill(b.links[CONNECTIONS].fd);
	if (wrong)
		die(wrong);
	for (int i = 0; i <= CONNECTIONS; i++)
		fcntl(b.links[i].fd, F_SETFL, O_NONBLOCK);
}

/* Prints its rows; all that was asked is answered behind it, or never will be. */
static void
round_run(struct round *r, double seconds, double capacity)
{
	static struct window windows[WINDOWS];
	memset(windows, 0, sizeof windows);
	*r = (struct round){ .half = { .name = "0.5 x", .times = .5, .seconds = seconds }, .ten = { .name = "10 x", .times = 10, .seconds = seconds },
		.after = { .name = "0.5 x", .times = .5, .seconds = seconds, .windows = windows } };
	phase_run(&r->half, capacity);
	phase_run(&r->ten, capacity);
	links_settle();
	phase_run(&r->after, capacity);
	links_settle();
	for (int i = 0; b.under_way > 0 && i < LAST_ANSWERS_MS; i++)
		answers_take(1);
	r->normal_ms = overload_normal_ms(&r->after);
	overload_row_print(&r->half);
	overload_row_print(&r->ten);
	overload_row_print(&r->after);
}

int
main(int argc, char **argv)
{
	static struct phase warm = { .name = "warm", .seconds = 4 }, closed = { .name = "capacity", .seconds = 4 };
	static struct round rounds[ROUNDS_MAX];
	double seconds = argc > 1 ? atof(argv[1]) : 10;
	int n = argc > 2 ? atoi(argv[2]) : 3;
	if (argc > 3 || !(seconds >= 1 && seconds <= 60) || n < 1 || n > ROUNDS_MAX) {
		fprintf(stderr, "usage: holdfast-overload [SECONDS-OF-EACH-PHASE, 1 to 60; else 10] [ROUNDS, 1 to %d; else 3]\n", ROUNDS_MAX);
		return 2;
	}
	if ((3 * seconds * n + 8) * PASS_A_SECOND > PASS_MAX) {
		fprintf(stderr, "overload: %d rounds of 3 x %.0f s are too long: what must pass is made ready for %d s in all\n", n, seconds,
		    PASS_MAX / PASS_A_SECOND);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	set_up();
	phase_run(&warm, 0);
	phase_run(&closed, 0);
	double capacity = (double)closed.taken / closed.took;
	printf("carts of %d lines (%zu bytes), %d connections, %.0f s a phase; latency in ms from when a request was due\n", LINES, b.cart_bytes,
	    CONNECTIONS, seconds);
	puts("               offered/s   taken/s      p50      p99 refused/s    passed    not      p99");
	overload_row_print(&closed);
	for (int i = 0; i < n; i++)
		round_run(&rounds[i], seconds, capacity);
	bool good = overload_judge(rounds, n, capacity);
	good &= overload_verdict("every request was answered", b.under_way == 0);
	server_stop(&b.server);
	server_remove(&b.server);
	return good ? 0 : 1;
}
