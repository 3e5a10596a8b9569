/*
 * reservations.h: reservations and their lines: a slab of dense slots, an index by id, lists of the finished ones.
 *
 * V1 Slots below `high` are used: open, finished or blank. A slot is never freed, only overwritten: a finished reservation by a
 *    new one, or by a blank when somebody needs its lines or its text and not its slot (room.h). A new reservation takes
 *    a blank's slot, else slot `high`, else the oldest finished one's (D14).
 * V2 Line number `slot` is the first line of reservation `slot`; further lines come from the numbers behind reservations_max.
 * V3 A line is in its cell's list of open lines exactly while held + committed > 0.
 * V4 A reservation is in the timers exactly while a unit is held, in one of the finished lists exactly while no unit is held or
 *    committed: in that of what it would give back. Each list is in order of position, the oldest first.
 * V5 A blank is a record of a finished reservation of one line whose ttl_ms is 0, which no hold's is. It is in no index: nobody finds it.
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

/* What a finished reservation gives back beside its slot; one bit each. Blanks are apart. */
#define GIVES_LINES    1u
#define GIVES_BLOBS    2u
#define FINISHED_BLANK 4u
#define FINISHED_LISTS 5

struct finished {
	uint32_t head, tail; /* slot + 1, oldest first */
	uint32_t n;
};

struct reservations {
	struct reservation *at;
	struct line *lines;
	struct index index;
	uint32_t max, extra_max;
	uint32_t high; /* slots ever used */
	uint32_t open;
	struct finished finished[FINISHED_LISTS];
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

static inline bool
reservation_is_blank(const struct reservation_terms *t)
{
	return t->ttl_ms == 0;
}

/* Which list it is in when it is finished. */
static inline unsigned
reservation_gives(const struct reservation_terms *t)
{
	if (reservation_is_blank(t))
		return FINISHED_BLANK;
	return (t->lines_n > 1 ? GIVES_LINES : 0) | (t->extra_n || t->id_n > ID_INLINE ? GIVES_BLOBS : 0);
}

/* Room for so many more extra lines, if `slot` is overwritten. */
static inline bool
reservations_extra_room(const struct reservations *v, uint32_t slot, uint32_t lines)
{
	uint32_t back = v->at[slot].terms.id_n ? v->at[slot].terms.lines_n - 1u : 0;
	return v->extra_max - v->extra_used + back >= lines;
}

/* Blocks of text that its record takes. */
static inline uint32_t
reservation_blobs(const struct reservation_terms *t)
{
	return blobs_needed(t->extra_n) + (t->id_n > ID_INLINE ? blobs_needed(t->id_n) : 0);
}

/* The record as it stands, lines into scratch; of extra only the length (reservation_extra() copies it). */
void reservation_load(const struct reservations *, uint32_t slot, struct reservation_record *, struct line_record lines[LINES_MAX],
    uint8_t id_scratch[NAME_BYTES_MAX]);
const uint8_t *reservation_extra(const struct reservations *, uint32_t slot, uint8_t *scratch);
/* D15, from a record. */
enum reservation_state reservation_state(const struct reservation_record *);

/* The record is the next one of what stands in its slot, not another reservation's that takes the slot over. */
bool reservation_is_of(const struct reservations *, const struct reservation_record *);
/* Applies a record. The caller checked the room; cannot fail. */
void reservation_evolve(struct reservations *, uint64_t seq, const struct reservation_record *);
/* After all image records: fills the index, brings the finished lists into the order of their positions. */
void reservations_image_done(struct reservations *);
/* After recovery: starts the timers. */
void reservations_load_done(struct reservations *);

#endif
