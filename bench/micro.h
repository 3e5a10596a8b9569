/*
 * micro.h: what micro.c (the world and the run) shares with its rows: micro_engine.c, micro_wire.c, micro_host.c.
 */
#ifndef HOLDFAST_BENCH_MICRO_H
#define HOLDFAST_BENCH_MICRO_H

#include "core/engine.h"
#include "net/buffer.h"
#include "net/methods.h"

struct world {
	struct engine *engine;
	struct step_buffer out;
	struct buffer reply;
	struct service service;
	uint64_t cells, random, next_id;
	int64_t now_ms;
	uint64_t wrong; /* operations that did not do what they are for */
	uint8_t frame[256];
	size_t frame_n;
	size_t frame_id_at, frame_sku_at;
	struct asked_text *texts;
};

/* What a reserve of one line asks for, written before the row runs: making it is no part of what is measured. */
struct asked_text {
	char id[16], sku[8];
};

static inline uint64_t
random_next(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	return w->random ^= w->random << 17;
}

/* One of the cells. */
static inline uint32_t
random_cell(struct world *w)
{
	return (uint32_t)((random_next(w) >> 32) * w->cells >> 32);
}

/* In pairs from a table: what the benchmark does itself should be little beside what it measures. */
extern char digit_pairs[100][2];
static inline void
digits_put(char *to, int n, uint32_t v)
{
	for (; n > 1; n -= 2, v /= 100)
		memcpy(to + n - 2, digit_pairs[v % 100], 2);
	if (n)
		to[0] = (char)('0' + v % 10);
}

static inline struct bytes
text(const char *at, uint32_t n)
{
	return (struct bytes){ (const uint8_t *)at, n };
}

/* The host's part: a full batch is as good as durable here. */
void batch_ready(struct world *);

/* Each does its operation n times; what is prepared in them is little beside that. */
typedef void micro_row(struct world *, uint64_t n);
micro_row texts_ready; /* before the run: as many as it takes */
micro_row run_reserve, run_reserve_ahead, run_sale, run_ats, run_ats_written, run_index; /* micro_engine.c */
micro_row run_scan, run_decode, run_encode, run_frame, run_ats_many; /* micro_wire.c */
micro_row run_append, run_hop; /* micro_host.c */

#endif
