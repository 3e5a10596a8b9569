/*
 * reservations.h: reservations and their lines: a slab of dense slots, an index by id, the list of finished ones.
 *
 * V1 Slots below `high` are used: open or finished. A new reservation takes slot `high`; when all are used, or the finished
 *    ones crowd a pool (7/8 of the extra lines or of the blobs are taken), the oldest finished one (D14). Nothing else
 *    ever frees a slot.
 * V2 Line number `slot` is the first line of reservation `slot`; further lines come from the numbers behind reservations_max.
 * V3 A line is in its cell's list of open lines exactly while held + committed > 0.
 * V4 A reservation is in the timers exactly while a unit is held, in the finished list exactly while no unit is held or committed.
 *
 * The engine's thread only. Changes come through reservation_evolve() alone.
 */
#ifndef HOLDFAST_CORE_RESERVATIONS_H
#define HOLDFAST_CORE_RESERVATIONS_H

#include "core/blobs.h"
#include "core/cells.h"
#include "core/record.h"
#include "core/timers.h"

#define SLOT_NONE INDEX_NONE
#define ID_INLINE 36 /* a UUID's text; longer ids go to a blob */

struct line {
	uint32_t slot;
	uint32_t next; /* line of the same reservation, number + 1 */
	uint32_t cell_next, cell_prev; /* open lines of the cell, number + 1 */
	struct line_record is;
};

struct reservation {
	struct timer timer; /* or the links of the finished list */
	int64_t expires_at; /* terms_expire_at(), for the timers */
	uint64_t seq;
	struct reservation_terms terms; /* id_n 0: never used; flags: RESERVATION_... | the two below */
	uint32_t extra; /* blob: owner and refs */
	union {
		uint8_t id[ID_INLINE];
		uint32_t id_blob;
	};
};
_Static_assert(sizeof(struct reservation) + sizeof(struct line) + 11 <= 192, "memory of an open one-line reservation, all told");

/* Flags that evolve keeps for itself, above the record's. */
#define RESERVATION_TIMED    64u
#define RESERVATION_FINISHED 128u

struct reservations {
	struct reservation *at;
	struct line *lines;
	struct index index;
	uint32_t max, extra_max;
	uint32_t high; /* slots ever used */
	uint32_t open;
	uint32_t finished_head, finished_tail; /* slot + 1, oldest first */
	uint32_t extra_high, extra_free, extra_used; /* extra lines: ever used, free list (number + 1), in use */
	int64_t forgotten_created_at; /* of the youngest forgotten; -1: none */
	bool unindexed; /* recovery: the index is filled by reservations_image_done() */
	bool untimed; /* recovery: nobody expires holds, so no timers before its end */
	struct timers *timers;
	struct blobs *blobs;
	struct cells *cells;
};

void reservations_init(struct reservations *, struct carve *, uint32_t max, uint32_t extra_max);
/* SLOT_NONE: unknown. */
uint32_t reservations_find(const struct reservations *, struct bytes id);
/* The id's bytes; `scratch` holds them when they are in a blob. */
struct bytes reservation_id(const struct reservations *, uint32_t slot, uint8_t scratch[NAME_BYTES_MAX]);
/* With the id's hash (of the index) known; most ids are new. */
static inline uint32_t
reservations_look(const struct reservations *v, uint64_t hash, struct bytes id)
{
	uint8_t scratch[NAME_BYTES_MAX];
	struct index_probe probe = index_first(&v->index, hash);
	for (;;) {
		uint32_t slot = index_next(&v->index, &probe);
		if (slot == INDEX_NONE || bytes_equal(reservation_id(v, slot, scratch), id))
			return slot;
	}
}

/* Without this what is remembered of finished carts would fill a pool before the slots, and no new cart could ever replace it. */
static inline bool
reservations_crowded(uint32_t used, uint32_t max)
{
	return max > 0 && used >= max - max / 8;
}

/* The slot a new reservation would take; SLOT_NONE: all are open. Changes nothing. */
static inline uint32_t
reservations_next_slot(const struct reservations *v)
{
	bool again = v->high == v->max || (v->finished_head &&
	    (reservations_crowded(v->extra_used, v->extra_max) || reservations_crowded(v->blobs->used, v->blobs->max)));
	return again ? v->finished_head - 1 : v->high; /* 0 - 1: SLOT_NONE */
}

/* Room for so many more extra lines, if `slot` is overwritten. */
static inline bool
reservations_extra_room(const struct reservations *v, uint32_t slot, uint32_t lines)
{
	uint32_t back = v->at[slot].terms.id_n ? v->at[slot].terms.lines_n - 1u : 0;
	return v->extra_max - v->extra_used + back >= lines;
}

/* Blocks of text that overwriting `slot` gives back. */
static inline uint32_t
reservations_blobs_back(const struct reservations *v, uint32_t slot)
{
	const struct reservation_terms *t = &v->at[slot].terms;
	return blobs_needed(t->extra_n) + (t->id_n > ID_INLINE ? blobs_needed(t->id_n) : 0);
}

/* The record as it stands, lines into scratch; of extra only the length (reservation_extra() copies it). */
void reservation_load(const struct reservations *, uint32_t slot, struct reservation_record *, struct line_record lines[LINES_MAX],
    uint8_t id_scratch[NAME_BYTES_MAX]);
const uint8_t *reservation_extra(const struct reservations *, uint32_t slot, uint8_t *scratch);
/* D15, from a record. */
enum reservation_state reservation_state(const struct reservation_record *);

/* Applies a record. The caller checked the room; cannot fail. */
void reservation_evolve(struct reservations *, uint64_t seq, const struct reservation_record *);
/* After all image records: fills the index, brings the finished list into the order of their positions. */
void reservations_image_done(struct reservations *);
/* After recovery: starts the timers. */
void reservations_load_done(struct reservations *);

#endif
