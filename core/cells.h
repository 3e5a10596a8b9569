/*
 * cells.h: the table of cells (SKU x location): one hot cache line with the terms of ATS, one cold. Written by the engine's
 * thread alone, read by any.
 *
 * C1 A cell never moves and is never removed; its number is dense, in order of creation.
 * C2 seq = position of the last change x 2, + 1 while it is being written.
 * C3 reserved, committed = the sums over the cell's open lines (D6); the list of open lines holds exactly those.
 *
 * Why a reader sees no torn cell: the writer sets the odd word, then the fields with release, then the even word with release. The
 * reader loads the word with acquire, the fields with acquire, then the word again. A field that came from a later write
 * brings that write's odd word with it (its release, this acquire), so the second load of the word differs from the first.
 * The same even word twice means all fields are of that write. A stale whole cell is harmless: the reader only says "at or past".
 */
#ifndef HOLDFAST_CORE_CELLS_H
#define HOLDFAST_CORE_CELLS_H

#include "core/base.h"
#include "core/carve.h"
#include "core/index.h"

#define CELL_NONE UINT32_MAX
#define LINK_NONE 0 /* links are number + 1 */

/* Flag word. Bits kept for quotas, limits, waiters, inbound, kits: a plain cell has none and pays one test. */
#define CELL_COUNTED     1u /* had a count */
#define CELL_COUNT_BY_ID 2u /* the last count's event had a free id: count_key is a blob */

struct cell {
	/* hot */
	_Atomic uint64_t seq;
	_Atomic int64_t on_hand, unsellable, reserved, committed;
	_Atomic uint64_t policy; /* safety stock, oversell limit << 32 */
	uint32_t sku, location; /* written before the cell is published by the index */
	uint32_t flags;
	uint32_t lines_head; /* open lines, oldest first */
	/* cold */
	_Atomic int64_t promised, inbound;
	_Atomic int64_t last_event_at, count_at; /* ms + 1; 0: none */
	uint64_t count_key; /* n of the last count, or its id's blob */
	uint32_t count_source, inbound_head;
	_Atomic uint32_t next_of_location; /* cells in order of creation */
	uint32_t kept; /* nothing yet */
	uint32_t history_head; /* kept deltas, newest first */
	uint32_t lines_tail;
};
_Static_assert(sizeof(struct cell) == 128, "a cell is two cache lines");

/* A cell's value in the hand: what decide works on. Its first two rows stand as in struct cell. */
struct cell_image {
	int64_t on_hand, unsellable, reserved, committed;
	int64_t promised, inbound, last_event_at, count_at; /* instants: ms + 1; 0: none */
	int64_t safety_stock, oversell_limit;
	uint64_t count_n;
	struct bytes count_id; /* of the last count, when it had no n */
	uint32_t count_source;
	uint32_t sku, location, flags;
};

struct cells {
	struct cell *at;
	struct index index;
	_Atomic uint32_t count; /* released when the cell is whole */
	uint32_t max;
	bool unindexed; /* recovery: cells_add() leaves the index to cells_index() */
	/* first and last cell (number + 1) of each location; heads are read by scans */
	_Atomic uint32_t *location_head;
	uint32_t *location_tail;
};

/* Hot terms only, for readers. */
struct cell_terms {
	uint64_t seq; /* position */
	int64_t on_hand, unsellable, reserved, committed, safety_stock, oversell_limit;
};

static inline int64_t
qty_floor(int64_t q)
{
	return q > 0 ? q : 0;
}

/* D1 */
static inline int64_t
ats_of(int64_t on_hand, int64_t unsellable, int64_t reserved, int64_t committed, int64_t safety_stock, int64_t oversell_limit)
{
	return on_hand - qty_floor(unsellable) - reserved - committed - safety_stock + oversell_limit;
}

static inline int64_t
cell_ats(const struct cell_image *c)
{
	return ats_of(c->on_hand, c->unsellable, c->reserved, c->committed, c->safety_stock, c->oversell_limit);
}

void cells_init(struct cells *, struct carve *, uint32_t max, uint32_t locations_max);
/* Any thread. CELL_NONE: no such cell. */
uint32_t cells_find(const struct cells *, uint32_t sku, uint32_t location);
static inline uint32_t
cells_count(const struct cells *cells)
{
	return atomic_load_explicit(&cells->count, memory_order_acquire);
}
/* A new cell, all 0, published. The caller knows that there is room and that it is new. */
uint32_t cells_add(struct cells *, uint32_t sku, uint32_t location);
/* After an image: all cells into the index, which nobody asked meanwhile. Put one by one, each would wait for memory. */
void cells_index(struct cells *);
/*
 * Copies the value; on the engine's thread only, which alone writes: so whole rows at once, without the readers' care. count_id is
 * left empty.
 */
static inline void
cell_load(const struct cell *cell, struct cell_image *image)
{
	uint64_t policy = atomic_load_explicit(&cell->policy, memory_order_relaxed);
	_Static_assert(offsetof(struct cell, committed) - offsetof(struct cell, on_hand) == 3 * sizeof(int64_t) &&
	    offsetof(struct cell_image, committed) - offsetof(struct cell_image, on_hand) == 3 * sizeof(int64_t), "a row");
	_Static_assert(offsetof(struct cell, count_at) - offsetof(struct cell, promised) == 3 * sizeof(int64_t) &&
	    offsetof(struct cell_image, count_at) - offsetof(struct cell_image, promised) == 3 * sizeof(int64_t), "a row");
	memcpy(&image->on_hand, (const void *)&cell->on_hand, 4 * sizeof(int64_t));
	memcpy(&image->promised, (const void *)&cell->promised, 4 * sizeof(int64_t));
	image->safety_stock = (int64_t)(policy & UINT32_MAX);
	image->oversell_limit = (int64_t)(policy >> 32);
	image->sku = cell->sku;
	image->location = cell->location;
	image->flags = cell->flags;
	image->count_source = cell->count_source;
	image->count_n = cell->flags & CELL_COUNT_BY_ID ? 0 : cell->count_key;
	image->count_id = (struct bytes){ NULL, 0 };
}

/* Publishes a value at a position: the writer's half of the argument above. Links, flags and count keys are the engine's own and set
 * outside. */
static inline void
cell_store(struct cell *cell, const struct cell_image *image, uint64_t seq)
{
#define SET(field, value) atomic_store_explicit(&cell->field, (value), memory_order_release)
	atomic_store_explicit(&cell->seq, atomic_load_explicit(&cell->seq, memory_order_relaxed) | 1, memory_order_relaxed);
	SET(on_hand, image->on_hand);
	SET(unsellable, image->unsellable);
	SET(reserved, image->reserved);
	SET(committed, image->committed);
	SET(policy, (uint64_t)image->safety_stock | (uint64_t)image->oversell_limit << 32);
	SET(promised, image->promised);
	SET(inbound, image->inbound);
	SET(last_event_at, image->last_event_at);
	SET(count_at, image->count_at);
	SET(seq, seq * 2);
#undef SET
}

/* A pause keeps a spinning reader polite to its sibling core. */
static inline void
cell_pause(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

/* One try of the sequence-lock protocol around `copy`, and again while the cell is written; the reader's half of the argument above. */
#define CELL_READ_STEADY(cell, seq_out, copy) \
	do { \
		uint64_t before = atomic_load_explicit(&(cell)->seq, memory_order_acquire); \
		copy; \
		if (!(before & 1) && atomic_load_explicit(&(cell)->seq, memory_order_relaxed) == before) { \
			seq_out = before / 2; \
			return; \
		} \
		cell_pause(); \
	} while (1)

/* Terms are read with acquire (free on x86): the ordering argument needs it. */
static inline void
cell_terms_copy(const struct cell *cell, struct cell_terms *t)
{
#define GET(field) atomic_load_explicit(&cell->field, memory_order_acquire)
	uint64_t policy = GET(policy);
	t->on_hand = GET(on_hand);
	t->unsellable = GET(unsellable);
	t->reserved = GET(reserved);
	t->committed = GET(committed);
	t->safety_stock = (int64_t)(policy & UINT32_MAX);
	t->oversell_limit = (int64_t)(policy >> 32);
#undef GET
}

/* Readers: the hot terms; all that a view shows. Any thread. */
static inline void
cell_read(const struct cell *cell, struct cell_terms *t)
{
	CELL_READ_STEADY(cell, t->seq, cell_terms_copy(cell, t));
}

static inline int64_t
cell_terms_ats(const struct cell_terms *t)
{
	return ats_of(t->on_hand, t->unsellable, t->reserved, t->committed, t->safety_stock, t->oversell_limit);
}

void cell_read_all(const struct cell *, struct cell_image *, uint64_t *seq);

#endif
