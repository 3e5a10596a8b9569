/*
 * load.h: the load command's two halves. load.c: connections, time, figures. load_SERVER.c: how each server is spoken to, as rows
 * of a table, so that one client, equally cheap for all, does the same work against each: reserve one unit of one SKU under an id
 * of its own for a time, or read the stock of some cells, or post messages of stock events.
 */
#ifndef HOLDFAST_BENCH_LOAD_H
#define HOLDFAST_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base.h"

#define REQUEST_BYTES_MAX 16384
#define CELLS_EACH_MAX 100
#define SOURCE_DIGITS 4
#define ID_DIGITS 16
#define SKU_DIGITS 7
#define CELLS_MAX 10000000 /* what SKU_DIGITS can number */
#define LOCATION "L1"
#define STOCK_UNITS 2000000000
#define STOCK_TEXT "2000000000"

enum work { WORK_RESERVE, WORK_READ, WORK_EVENTS };

struct load_options {
	char host[64];
	uint16_t port;
	enum work work;
	bool hot, brief;
	uint32_t connections, in_flight, cells;
	uint32_t cells_each; /* in a read or a message of events */
	double seconds, warm_seconds;
	int64_t ttl_ms;
};

/* A request ready to be sent but for its numbers, which are patched in place. A place of 0: it has no such number. */
struct request {
	uint8_t bytes[REQUEST_BYTES_MAX];
	size_t n;
	size_t msgid_at; /* four bytes, the greatest first; 0: answers come in order */
	uint32_t msgid_bits; /* set besides */
	size_t id_at; /* ID_DIGITS */
	size_t sku_at[CELLS_EACH_MAX]; /* SKU_DIGITS each */
	uint32_t skus_n;
	/* Of events: the source's SOURCE_DIGITS, the connection's index; four bytes, the event's number on that connection. */
	size_t source_at[CELLS_EACH_MAX], number_at[CELLS_EACH_MAX];
	uint32_t events_n;
};

enum answer { ANSWER_MORE, ANSWER_GRANTED, ANSWER_REFUSED, ANSWER_BAD };

struct protocol {
	const char *server; /* the option that names it, too */
	enum work work;
	/* Fills in stock for options->cells and what is stored in the server, on a connection of its own. 0, or -1 with *why. */
	int (*prepare)(const struct load_options *, struct request *, struct why *);
	/* What a new connection says first; NULL: nothing. 0, or -1 with *why. */
	int (*greet)(const struct load_options *, int fd, struct why *);
	/* The first whole answer in bytes[0..n): *end behind it, *slot its request (unchanged when answers come in order). */
	enum answer (*answer)(const uint8_t *bytes, size_t n, size_t *end, uint32_t *slot, struct bytes *code);
};

extern const struct protocol load_holdfast_reserve, load_holdfast_read, load_redis_reserve, load_redis_read,
    load_tarantool_reserve, load_postgres_reserve, load_gate_events, load_least_reserve;

/* ---- load_wire.c: what the servers' files share ---- */

/* A blocking connection; -1 with *why. */
int wire_connect(const struct load_options *, struct why *);
/* The whole of it, or -1. */
int wire_send(int fd, const void *bytes, size_t n);
int wire_receive(int fd, void *bytes, size_t n);
/* A file of bench/ (the working directory is the project's), with a zero behind it; NULL with *why. Borrowed until the next call. */
const char *wire_file(const char *name, size_t *n, struct why *);

/* Where the bytes stand now in the request. */
size_t request_append(struct request *, const void *bytes, size_t n);
#define APPEND(r, literal) request_append((r), (literal), sizeof(literal) - 1)
/* SKU_DIGITS of zeros, to be patched. */
void request_append_sku(struct request *);

static inline uint64_t
big_endian(const uint8_t *p, int n)
{
	uint64_t v = 0;
	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static inline void
put_big_endian(uint8_t *to, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(to, &v, sizeof v);
}

#endif
