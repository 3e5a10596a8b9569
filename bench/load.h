/*
 * load.h: the load command's two halves. load.c: connections, time, figures. load_wire.c: the two protocols, as a table, so
 * that the same client loads both servers with the same work: reserve one unit of one SKU, under an id of its own, for a time.
 */
#ifndef HOLDFAST_BENCH_LOAD_H
#define HOLDFAST_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base.h"

#define REQUEST_BYTES_MAX 320
#define ID_DIGITS 16
#define SKU_DIGITS 7
#define CELLS_MAX 10000000 /* what SKU_DIGITS can number */

struct load_options {
	char host[64];
	uint16_t port;
	bool redis, hot, brief;
	uint32_t connections, in_flight, cells;
	double seconds;
	int64_t ttl_ms;
};

/* A request ready to be sent but for its numbers, which are patched in place. */
struct request {
	uint8_t bytes[REQUEST_BYTES_MAX];
	size_t n;
	size_t msgid_at, id_at, sku_at; /* msgid_at 0: answers come in order, no number */
};

enum answer { ANSWER_MORE, ANSWER_GRANTED, ANSWER_REFUSED, ANSWER_BAD };

struct protocol {
	const char *name;
	/* Fills in stock for options->cells and the script, on a connection of its own. 0, or -1 with *why. */
	int (*prepare)(const struct load_options *, struct request *, struct why *);
	/* The first whole answer in bytes[0..n): *end behind it, *slot its request (unchanged when answers come in order). */
	enum answer (*answer)(const uint8_t *bytes, size_t n, size_t *end, uint32_t *slot, struct bytes *code);
};

extern const struct protocol protocol_holdfast, protocol_redis;

/* Writes digits, hex or decimal, without a terminator. */
static inline void
patch_digits(uint8_t *to, int digits, uint64_t v, unsigned base)
{
	for (int i = digits - 1; i >= 0; i--, v /= base)
		to[i] = (uint8_t)"0123456789abcdef"[v % base];
}

#endif
