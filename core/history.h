/*
 * history.h: the count window (D33, D34, D38): the deltas that a late count may have to re-apply, in one ring in order of
 * arrival, chained per cell from the newest to the oldest.
 *
 * H1 Only deltas with at > as_of of the cell's last count and at > the cell's floor matter. Others may still hang in a chain
 *    (and are skipped); a chain ends where a link leads to a slot that was overwritten since (its age would not grow).
 * H2 What the ring or the bound per cell drops raises the cell's floor: a count before the floor is stale.
 *
 * The engine's thread only; changes come through the evolve functions (append, floor, counted).
 */
#ifndef HOLDFAST_CORE_HISTORY_H
#define HOLDFAST_CORE_HISTORY_H

#include "core/record.h"

#define DELTAS_OF_CELL_MAX 65536 /* walked by one count: bounds the step. At the bound the older half is dropped */
#define FLOOR_NONE INT64_MIN

struct delta { /* 32 bytes a kept delta */
	uint64_t at_source; /* at << 20 | source id + 1 (0: a command) */
	uint64_t n_arrival; /* n << 11 | bits 32..42 of arrival */
	uint32_t arrival; /* ms since 1970, bits 0..31 */
	uint32_t cell; /* number + 1; 0: empty, or nobody's any more */
	uint32_t older; /* slot + 1 of the cell's delta before */
	int32_t qty;
};
#define SOURCES_LIMIT ((1u << 20) - 1) /* ids that fit beside `at` */

struct history {
	struct delta *at;
	uint32_t ring;
	uint64_t next; /* number of the next delta */
	uint32_t next_slot; /* next mod ring */
	uint32_t *of_cell; /* deltas of each cell that may still hang in its chain */
	int64_t *floor; /* floor + 1 of each cell; 0: none. Pages are only touched where deltas were dropped */
	struct cells *cells;
	bool loading; /* image records come by slot: chained at the end */
};

void history_init(struct history *, struct carve *, uint32_t ring, uint32_t cells_max);
int64_t history_floor_of(const struct history *, uint32_t cell);

/* What a count at as_of finds. */
struct history_sum {
	int64_t after; /* sum of the deltas with at > as_of */
	int64_t floor; /* greatest `at` that is no longer kept; FLOOR_NONE: all are */
};
/* Deltas that arrived before oldest_arrival count as dropped (D38). */
void history_sum(const struct history *, uint32_t cell, int64_t as_of, int64_t oldest_arrival, struct history_sum *);

/* The floors that appending one delta of `cell` must raise first: 0 to 2 records. */
uint32_t history_evicts(const struct history *, uint32_t cell, struct floor_record out[2]);
void history_append(struct history *, const struct delta_record *);
void history_raise_floor(struct history *, const struct floor_record *);
/* A count was taken: the cell's deltas with at <= as_of are inside it. */
void history_counted(struct history *, uint32_t cell, int64_t as_of);
void history_load_done(struct history *);

/* Reads a slot; false: nothing there that matters (H1). For digests. */
bool history_slot(const struct history *, uint32_t slot, struct delta_record *);

#endif
