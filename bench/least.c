/*
 * least.c: the least server that reserves durably, as a limit for Holdfast: one thread, and for each wake-up all requests that are there
 * decoded in place, applied, written with one write and one fdatasync, then answered. It understands holdfast-load's request and
 * nothing else, keeps no ledger, ends no hold, recovers nothing, and would believe any input. What remains is what the parts cost.
 *
 *     holdfast-least PORT FOLDER
 */
#define _GNU_SOURCE
#include "bench/load.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/clock.h"

#define CLIENTS_MAX 64
#define BUFFER_BYTES (256 << 10)
#define HOLDS_MAX (1u << 25)
#define SLOTS (HOLDS_MAX * 2u)
#define JOURNAL_BYTES (256 << 20) /* written whole before; begun again at its end */
#define BLOCK_BYTES 4096
#define BATCH_BYTES (CLIENTS_MAX * BUFFER_BYTES)

/* Of the request, as load_holdfast.c makes it: where its numbers stand, and what comes before them. */
#define ID_AT 17
#define SKU_AT 37
#define TTL_AT 56
#define REPLY "\x94\x01\xce....\xc0\x85\xa3seq\xcf........\xa5state\xa4held\xaa" "expires_at\xcf........\xa5lines\x91\x93\xa8S0000000\xa2" LOCATION "\x01\xa5" "again\xc2"
#define REPLY_BYTES (sizeof(REPLY) - 1)

struct client {
	int fd;
	size_t in_used, out_used;
	uint8_t in[BUFFER_BYTES], out[BUFFER_BYTES * 2];
};

struct hold {
	uint8_t id[ID_DIGITS];
	uint32_t sku, qty;
	int64_t expires_at_ms;
};

static struct client *clients[CLIENTS_MAX];
static int clients_n, loop, journal;
static struct hold *holds;
static uint32_t holds_n, *slots; /* of a hold + 1 */
static int64_t *units;
static uint8_t *batch;
static size_t batch_used;
static off_t journal_at;
static int64_t now_ms;

static _Noreturn void
die(const char *what)
{
	perror(what);
	exit(1);
}

static void *
memory(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (at == MAP_FAILED)
		die("memory");
	madvise(at, bytes, MADV_HUGEPAGE);
	return at;
}

/* NULL: the id is there already. */
static struct hold *
hold_new(const uint8_t *id)
{
	uint64_t a, b;
	memcpy(&a, id, 8), memcpy(&b, id + 8, 8);
	uint32_t slot = (uint32_t)(((a ^ (b * 0x9e3779b97f4a7c15u)) * 0xff51afd7ed558ccdu) >> 32) & (SLOTS - 1);
	for (; slots[slot]; slot = (slot + 1) & (SLOTS - 1))
		if (memcmp(holds[slots[slot] - 1].id, id, ID_DIGITS) == 0)
			return NULL;
	if (holds_n == HOLDS_MAX)
		die("more holds than this was made for");
	slots[slot] = ++holds_n;
	memcpy(holds[holds_n - 1].id, id, ID_DIGITS);
	return &holds[holds_n - 1];
}

static void
put_8(uint8_t *to, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(to, &v, sizeof v);
}

/* One request: what it does, its bytes of the journal, its answer. */
static void
apply(struct client *c, const uint8_t *request)
{
	uint8_t *out = c->out + c->out_used;
	uint32_t sku = 0;
	for (int i = 0; i < SKU_DIGITS; i++)
		sku = sku * 10 + request[SKU_AT + i] - '0';
	struct hold *hold = hold_new(request + ID_AT);
	if (hold && units[sku] > -STOCK_UNITS) {
		units[sku]--;
		hold->sku = sku, hold->qty = 1, hold->expires_at_ms = now_ms + (int64_t)big_endian(request + TTL_AT + 1, 4);
		memcpy(batch + batch_used, hold, sizeof *hold);
		batch_used += sizeof *hold;
	}
	memcpy(out, REPLY, REPLY_BYTES);
	memcpy(out + 3, request + 3, 4);
	put_8(out + 14, holds_n);
	put_8(out + 45, (uint64_t)now_ms);
	memcpy(out + 63, request + SKU_AT, SKU_DIGITS);
	c->out_used += REPLY_BYTES;
}

static void
take(struct client *c)
{
	ssize_t n = recv(c->fd, c->in + c->in_used, sizeof c->in - c->in_used, MSG_DONTWAIT);
	if (n == 0) {
		close(c->fd); /* what it waits for still is nobody's */
		c->out_used = 0;
		return;
	}
	c->in_used += n > 0 ? (size_t)n : 0;
	size_t at = 0, bytes = TTL_AT + 5;
	for (; c->in_used - at >= bytes; at += bytes) {
		if (memcmp(c->in + at + 7, "\xa7reserve", 8) != 0 || c->in[at + TTL_AT] != 0xce)
			die("another request than those of holdfast-load, with a ttl above 65,535 ms");
		apply(c, c->in + at);
	}
	memmove(c->in, c->in + at, c->in_used - at);
	c->in_used -= at;
}

static void
make_durable(void)
{
	size_t bytes = (batch_used + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;
	if (bytes == 0)
		return;
	journal_at = journal_at + (off_t)bytes <= JOURNAL_BYTES ? journal_at : 0;
	if (pwrite(journal, batch, bytes, journal_at) != (ssize_t)bytes || fdatasync(journal) != 0)
		die("journal");
	journal_at += (off_t)bytes;
	batch_used = 0;
}

static void
answer(struct client *c)
{
	ssize_t n = c->out_used ? send(c->fd, c->out, c->out_used, MSG_NOSIGNAL) : 0;
	if (n >= 0 && n != (ssize_t)c->out_used)
		die("a client that does not read");
	c->out_used = 0;
}

static void
accept_one(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC), on = 1;
	if (fd < 0 || clients_n == CLIENTS_MAX)
		die("accept");
	struct client *c = clients[clients_n++] = memory(sizeof *c);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = c };
	c->fd = fd;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	epoll_ctl(loop, EPOLL_CTL_ADD, fd, &e);
}

static int
open_all(uint16_t port, const char *folder)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event e = { .events = EPOLLIN };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
	char path[4096];
	holds = memory((size_t)HOLDS_MAX * sizeof *holds);
	slots = memory((size_t)SLOTS * sizeof *slots);
	units = memory((size_t)CELLS_MAX * sizeof *units);
	batch = memory(BATCH_BYTES);
	snprintf(path, sizeof path, "%s/least.journal", folder);
	journal = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (off_t at = 0; at < JOURNAL_BYTES; at += BATCH_BYTES)
		if (pwrite(journal, batch, BATCH_BYTES, at) != BATCH_BYTES)
			die(path);
	memset(slots, 0, (size_t)SLOTS * sizeof *slots); /* touched before the load comes */
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	loop = epoll_create1(EPOLL_CLOEXEC);
	if (fsync(journal) != 0 || bind(listener, (struct sockaddr *)&a, sizeof a) != 0 || listen(listener, CLIENTS_MAX) != 0 ||
	    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &e) != 0)
		die("start");
	return listener;
}

int
main(int argc, char **argv)
{
	struct epoll_event ready[CLIENTS_MAX + 1];
	if (argc != 3) {
		fputs("usage: holdfast-least PORT FOLDER\n", stderr);
		return 2;
	}
	int listener = open_all((uint16_t)atoi(argv[1]), argv[2]);
	for (;;) {
		int n = epoll_wait(loop, ready, CLIENTS_MAX + 1, -1);
		now_ms = clock_wall_ms();
		for (int i = 0; i < n; i++)
			if (ready[i].data.ptr)
				take(ready[i].data.ptr);
			else
				accept_one(listener);
		make_durable();
		for (int i = 0; i < n; i++)
			if (ready[i].data.ptr)
				answer(ready[i].data.ptr);
	}
}
