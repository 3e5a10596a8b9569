/*
 * load.c: loads a server with durable reserves of one unit each, with reads, or with stock events, and says how many a second it took and how long they waited.
 * One thread, one epoll; each connection keeps a fixed number of requests in flight (a closed loop), so that the client costs
 * as little as possible of the processors that it shares with the server. It sends a new request for each answer.
 */
#include "bench/histogram.h"
#include "bench/load.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net/clock.h"

#define CONNECTIONS_MAX 4096
#define IN_FLIGHT_MAX 65536
#define READ_BYTES (256 << 10)
#define SILENCE_MS 10000
#define CODES_MAX 8

struct connection {
	int fd;
	uint8_t *in, *out;
	size_t in_used, out_at, out_used;
	int64_t *sent_ns; /* by slot */
	uint32_t first; /* answers in order: the slot whose answer comes next */
	uint32_t event_number; /* of the last event sent */
	bool waits; /* for room to write */
};

struct refusals {
	char code[32];
	uint64_t n;
};

struct load {
	struct load_options options;
	const struct protocol *protocol;
	struct request request;
	struct connection *connections;
	int epoll;
	uint64_t next_id, random;
	char (*digits)[8]; /* of the number of every SKU and every connection, ready to be copied */
	bool measuring;
	uint64_t answers, granted;
	struct refusals refused[CODES_MAX];
	struct histogram waited;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "load: %s\n", what);
	exit(1);
}

/* ---- figures ---- */

static void
count_refusal(struct load *l, struct bytes code)
{
	for (int i = 0; i < CODES_MAX; i++) {
		struct refusals *r = &l->refused[i];
		if (r->n == 0)
			snprintf(r->code, sizeof r->code, "%.*s", (int)code.n, (const char *)code.at);
		if (i == CODES_MAX - 1 || (strlen(r->code) == code.n && memcmp(r->code, code.at, code.n) == 0)) {
			r->n++;
			return;
		}
	}
}

static void
report(const struct load *l, double seconds)
{
	static const char *const words[] = { [WORK_RESERVE] = "reserves", [WORK_READ] = "reads", [WORK_EVENTS] = "messages" };
	double rate = (double)l->granted / seconds, p50 = histogram_ms(&l->waited, .5), p99 = histogram_ms(&l->waited, .99);
	uint64_t refused = l->answers - l->granted;
	if (l->options.brief) {
		printf("%.0f %.3f %.3f %llu\n", rate, p50, p99, (unsigned long long)refused);
		return;
	}
	printf("%s: %u connections x %u in flight, %s, %.1f s\n", l->protocol->server, l->options.connections, l->options.in_flight,
	    l->options.hot ? "one hot SKU" : "SKUs at random", seconds);
	printf("  %.0f %s/s", rate, words[l->options.work]);
	if (l->options.work != WORK_RESERVE)
		printf(" of %u", l->options.cells_each);
	printf(", p50 %.3f ms, p99 %.3f ms; %llu granted, %llu refused", p50, p99, (unsigned long long)l->granted, (unsigned long long)refused);
	for (int i = 0; i < CODES_MAX && l->refused[i].n > 0; i++)
		printf("%s%s %llu", i ? ", " : " (", l->refused[i].code, (unsigned long long)l->refused[i].n);
	puts(l->refused[0].n ? ")" : "");
}

/* ---- connections ---- */

static void
patch_id(uint8_t *to, uint64_t v)
{
	for (int i = ID_DIGITS - 1; i >= 0; i--, v >>= 4)
		to[i] = (uint8_t)"0123456789abcdef"[v & 15];
}

static void
put_request(struct load *l, struct connection *c, uint32_t slot)
{
	struct request *r = &l->request;
	for (uint32_t i = 0; i < r->skus_n; i++) {
		l->random ^= l->random << 13, l->random ^= l->random >> 7, l->random ^= l->random << 17;
		uint64_t sku = l->options.hot ? 0 : (l->random >> 32) * l->options.cells >> 32;
		memcpy(r->bytes + r->sku_at[i], l->digits[sku], SKU_DIGITS);
	}
	for (uint32_t i = 0; i < r->events_n; i++) {
		memcpy(r->bytes + r->source_at[i], l->digits[c - l->connections] + SKU_DIGITS - SOURCE_DIGITS, SOURCE_DIGITS);
		put_big_endian(r->bytes + r->number_at[i], ++c->event_number);
	}
	if (r->id_at)
		patch_id(r->bytes + r->id_at, l->next_id++);
	if (r->msgid_at)
		put_big_endian(r->bytes + r->msgid_at, slot | r->msgid_bits);
	memcpy(c->out + c->out_used, r->bytes, r->n);
	c->out_used += r->n;
}

static void
watch(struct load *l, struct connection *c, int op)
{
	struct epoll_event e = { .events = EPOLLIN | (c->waits ? EPOLLOUT : 0), .data.ptr = c };
	if (epoll_ctl(l->epoll, op, c->fd, &e) != 0)
		die("epoll");
}

static void
write_out(struct load *l, struct connection *c)
{
	ssize_t n = c->out_used > c->out_at ? send(c->fd, c->out + c->out_at, c->out_used - c->out_at, MSG_NOSIGNAL) : 0;
	if (n < 0 && errno != EAGAIN)
		die("the server closed a connection");
	c->out_at += n > 0 ? (size_t)n : 0;
	if (c->out_at == c->out_used)
		c->out_at = c->out_used = 0;
	bool waits = c->out_used > 0;
	if (waits != c->waits) {
		c->waits = waits;
		watch(l, c, EPOLL_CTL_MOD);
	}
}

/* Unsent bytes go to the front, so that there is always room for the requests that answers make room for. */
static void
compact(struct connection *c)
{
	memmove(c->out, c->out + c->out_at, c->out_used - c->out_at);
	c->out_used -= c->out_at;
	c->out_at = 0;
}

static void
take_answer(struct load *l, struct connection *c, uint32_t slot, enum answer answer, struct bytes code, int64_t now)
{
	if (slot >= l->options.in_flight)
		die("an answer to nothing that was asked");
	if (l->measuring) {
		l->answers++;
		l->granted += answer == ANSWER_GRANTED;
		histogram_add(&l->waited, (uint64_t)(now - c->sent_ns[slot]));
		if (answer == ANSWER_REFUSED)
			count_refusal(l, code);
	}
	c->sent_ns[slot] = now;
	put_request(l, c, slot);
}

static void
read_in(struct load *l, struct connection *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_used, READ_BYTES - c->in_used, 0);
	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("the server closed a connection");
	if (n < 0)
		return;
	int64_t now = clock_steady_ns();
	size_t at = 0, end = 0;
	c->in_used += (size_t)n;
	compact(c);
	while (at < c->in_used) {
		struct bytes code = { NULL, 0 };
		uint32_t slot = c->first;
		enum answer answer = l->protocol->answer(c->in + at, c->in_used - at, &end, &slot, &code);
		if (answer == ANSWER_MORE)
			break;
		if (answer == ANSWER_BAD)
			die("the server answered something else than answers");
		at += end;
		c->first = c->first + 1 == l->options.in_flight ? 0 : c->first + 1;
		take_answer(l, c, slot, answer, code, now);
	}
	memmove(c->in, c->in + at, c->in_used - at);
	c->in_used -= at;
}

static void
open_one(struct load *l, struct connection *c)
{
	struct why why;
	int on = 1;
	c->fd = wire_connect(&l->options, &why);
	if (c->fd < 0 || (l->protocol->greet && l->protocol->greet(&l->options, c->fd, &why) != 0))
		die(why.text);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	c->in = malloc(READ_BYTES);
	c->out = malloc(l->options.in_flight * l->request.n); /* each slot has one request at most */
	c->sent_ns = calloc(l->options.in_flight, sizeof *c->sent_ns);
	if (!c->in || !c->out || !c->sent_ns)
		die("no memory");
	watch(l, c, EPOLL_CTL_ADD);
}

static void
start_all(struct load *l)
{
	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	l->connections = calloc(l->options.connections, sizeof *l->connections);
	for (uint32_t i = 0; i < l->options.connections; i++)
		open_one(l, &l->connections[i]);
	for (uint32_t i = 0; i < l->options.connections; i++) {
		struct connection *c = &l->connections[i];
		for (uint32_t slot = 0; slot < l->options.in_flight; slot++) {
			c->sent_ns[slot] = clock_steady_ns();
			put_request(l, c, slot);
		}
		write_out(l, c);
	}
}

/* Runs for so long. */
static void
run(struct load *l, double seconds)
{
	struct epoll_event ready[64];
	int64_t end = clock_steady_ns() + (int64_t)(seconds * 1e9);
	while (clock_steady_ns() < end) {
		int n = epoll_wait(l->epoll, ready, 64, SILENCE_MS);
		if (n == 0)
			die("no answer for 10 s");
		for (int i = 0; i < n; i++) {
			struct connection *c = ready[i].data.ptr;
			if (ready[i].events & ~(uint32_t)EPOLLOUT)
				read_in(l, c);
			write_out(l, c);
		}
	}
}

static const struct option long_options[] = {
	{ "holdfast", 1, NULL, 's' }, { "server", 1, NULL, 's' }, { "redis", 1, NULL, 's' }, { "tarantool", 1, NULL, 's' },
	{ "postgres", 1, NULL, 's' }, { "gate", 1, NULL, 's' }, { "least", 1, NULL, 's' }, { "connections", 1, NULL, 'c' }, { "in-flight", 1, NULL, 'i' }, { "seconds", 1, NULL, 't' },
	{ "warm", 1, NULL, 'w' }, { "cells", 1, NULL, 'n' }, { "ttl-ms", 1, NULL, 'l' }, { "hot", 0, NULL, 'h' }, { "read", 1, NULL, 'R' },
	{ "events", 1, NULL, 'E' }, { "brief", 0, NULL, 'b' }, { "help", 0, NULL, 'H' }, { NULL, 0, NULL, 0 },
};

static const struct protocol *const protocols[] = { &load_holdfast_reserve, &load_holdfast_read, &load_redis_reserve, &load_redis_read,
	&load_tarantool_reserve, &load_postgres_reserve, &load_gate_events, &load_least_reserve };

static _Noreturn void
usage(FILE *to)
{
	fputs("usage: holdfast-load --server HOST:PORT   (HOST in numbers), or a peer: --redis, --tarantool, --postgres HOST:PORT,\n"
	    "                         or --gate HOST:PORT, the door for events; --least: holdfast-least\n"
	    "  --connections N   50     --in-flight N  128, on each\n"
	    "  --seconds S       10     after --warm S (1), which do not count\n"
	    "  --cells N         10000  SKUs at one location, chosen at random; --hot: all on one\n"
	    "  --ttl-ms N        900000 time to live of a hold\n"
	    "  --read N                 reads of N cells (1 to 100) instead of reserves (Holdfast, Redis)\n"
	    "  --events N               messages of N stock events (1 to 100), a source for each connection (the gate)\n"
	    "  --brief           prints only: rate, p50 ms, p99 ms, refused\n", to);
	exit(to == stdout ? 0 : 2);
}

static void
parse_address(struct load_options *o, const char *text)
{
	unsigned port;
	if (sscanf(text, "%63[^:]:%u", o->host, &port) != 2 || port == 0 || port > 65535)
		usage(stderr);
	o->port = (uint16_t)port;
}

/* The name of the server, as its option says it. */
static const char *
parse(int argc, char **argv, struct load_options *o)
{
	const char *server = NULL;
	int c, index;
	while ((c = getopt_long(argc, argv, "", long_options, &index)) != -1)
		switch (c) {
		case 's': parse_address(o, optarg); server = long_options[index].name; break;
		case 'c': o->connections = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'i': o->in_flight = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 't': o->seconds = atof(optarg); break;
		case 'w': o->warm_seconds = atof(optarg); break;
		case 'n': o->cells = (uint32_t)strtoul(optarg, NULL, 10); break;
		case 'l': o->ttl_ms = strtoll(optarg, NULL, 10); break;
		case 'h': o->hot = true; break;
		case 'R':
		case 'E':
			o->work = c == 'R' ? WORK_READ : WORK_EVENTS;
			o->cells_each = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'b': o->brief = true; break;
		case 'H': usage(stdout);
		default: usage(stderr);
		}
	if (!server || o->connections == 0 || o->connections > CONNECTIONS_MAX || o->in_flight == 0 || o->in_flight > IN_FLIGHT_MAX ||
	    o->cells == 0 || o->cells > CELLS_MAX || o->seconds <= 0 || o->warm_seconds < 0 || o->ttl_ms <= 0 || o->cells_each > CELLS_EACH_MAX ||
	    (o->work != WORK_RESERVE && o->cells_each == 0))
		usage(stderr);
	return strcmp(server, "server") == 0 ? "holdfast" : server;
}

static const struct protocol *
protocol_find(const char *server, enum work work)
{
	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
		if (strcmp(protocols[i]->server, server) == 0 && protocols[i]->work == work)
			return protocols[i];
	die("that work is not written for that server");
}

static void
number_all(struct load *l)
{
	char digits[16];
	uint32_t n = l->options.cells > CONNECTIONS_MAX ? l->options.cells : CONNECTIONS_MAX;
	l->digits = malloc(n * sizeof *l->digits);
	if (!l->digits)
		die("no memory");
	for (uint32_t i = 0; i < n; i++) {
		snprintf(digits, sizeof digits, "%0*u", SKU_DIGITS, i);
		memcpy(l->digits[i], digits, sizeof l->digits[i]);
	}
}

int
main(int argc, char **argv)
{
	static struct load l = { .options = { .connections = 50, .in_flight = 128, .cells = 10000, .seconds = 10, .warm_seconds = 1, .ttl_ms = 900000 } };
	struct why why;
	const char *server = parse(argc, argv, &l.options);
	l.protocol = protocol_find(server, l.options.work);
	l.random = (uint64_t)clock_steady_ns() | 1;
	l.next_id = (uint64_t)clock_wall_ms() << 22; /* ids of another run do not meet these */
	number_all(&l);
	if (l.protocol->prepare(&l.options, &l.request, &why) != 0)
		die(why.text);
	start_all(&l);
	run(&l, l.options.warm_seconds);
	l.measuring = true;
	int64_t start = clock_steady_ns();
	run(&l, l.options.seconds);
	report(&l, (double)(clock_steady_ns() - start) / 1e9);
	return 0;
}
