/*
 * state.h: what an engine is made of. Private to core.
 */
#ifndef HOLDFAST_CORE_STATE_H
#define HOLDFAST_CORE_STATE_H

#include "core/ahead.h"
#include "core/cells.h"
#include "core/digest.h"
#include "core/engine.h"
#include "core/free_ids.h"
#include "core/groups.h"
#include "core/hash.h"
#include "core/history.h"
#include "core/names.h"
#include "core/quarantine.h"
#include "core/refs.h"
#include "core/reservations.h"
#include "core/room.h"
#include "core/sources.h"
#include "core/timers.h"
#include "core/view.h"

/* A cell in the hand of a command: changed here, emitted once (at most one cell entry a step). */
struct cell_change {
	struct cell_record r; /* what will be emitted; `cell` of a fresh one is the number that it will get */
	bool fresh; /* the cell does not exist yet */
	bool changed;
	uint8_t count_id[NAME_BYTES_MAX];
};

#define CHANGES_MAX (LINES_MAX + 2 * LINES_ASKED_MAX)
#define CHANGES_FEW 4 /* so many are looked through one by one; beyond, the slots are used */
#define CHANGE_SLOTS 16384 /* hash over the changes of one command; a power of two above 2 x CHANGES_MAX */

struct changes {
	uint32_t n, fresh_n;
	struct hash_seed seed; /* of the slots */
	struct cell_change at[CHANGES_MAX];
	uint16_t slot[CHANGE_SLOTS]; /* index + 1 */
};

#define JOBS_MAX 16 /* commands that wait for their slices; more: overloaded */
enum job_kind { JOB_GROUP, JOB_DIGEST };
struct job {
	uint64_t number; /* 0: nobody waits (resumed after a restart) */
	enum job_kind kind;
	uint32_t location; /* group */
	struct digest_command digest;
	uint8_t text[3][NAME_BYTES_MAX];
};

#define RELEASE_CACHE 4096 /* D23: next release per cell, at most 1 s old */
struct release_cached {
	uint32_t cell; /* number + 1 */
	int64_t looked_at;
	int64_t at, qty;
};

/* Working memory of one call; nothing here outlives it but what a result borrows. */
struct scratch {
	struct line_record lines[LINES_MAX], old_lines[LINES_MAX];
	struct result_line result_lines[LINES_MAX];
	struct line_view line_views[LINES_MAX];
	struct short_line shorts[LINES_ASKED_MAX];
	uint32_t sku[LINES_ASKED_MAX], location[LINES_ASKED_MAX], change[LINES_ASKED_MAX];
	uint32_t cell[LINES_ASKED_MAX]; /* what the walks found, AHEAD_NOTHING: nothing */
	struct ahead walks[AHEAD_BLOCK];
	uint32_t moved[LINES_MAX];
	struct changes changes;
	struct delta_record deltas[LINES_MAX];
	struct room room;
	uint32_t members[GROUP_MEMBERS_MAX];
	uint8_t id[NAME_BYTES_MAX], old_id[NAME_BYTES_MAX], member_id[NAME_BYTES_MAX];
	uint8_t extra[2 * EXTRA_BYTES_MAX], old_extra[EXTRA_BYTES_MAX];
	uint8_t content[LINES_ASKED_MAX * 160 + 1024]; /* canonical bytes for digests */
	struct release_cached release[RELEASE_CACHE];
	char said[160]; /* a sentence of recovery with a figure in it */
};

struct engine {
	struct engine_limits limits;
	struct engine_options options;
	int64_t now;
	uint64_t seq;
	bool summed; /* recovery: the sums of all cells were checked, and nothing was replayed since */
	_Atomic uint64_t seq_view; /* view_seq(): published after the memory it speaks of */
	_Atomic uint64_t named_view; /* view_named(): published before the names and groups it speaks of */
	_Atomic int64_t deadline_view;
	_Atomic uint32_t pools_view[VIEW_POOLS]; /* view_used(): a stale one maps a little less ahead */

	struct names names[NAME_TABLES];
	struct cells cells;
	struct groups groups;
	struct timers timers;
	struct blobs blobs;
	struct reservations reservations;
	struct sources sources;
	struct free_ids free_ids;
	struct history history;
	struct quarantine quarantine;

	struct job jobs[JOBS_MAX];
	uint32_t jobs_n;
	uint64_t job_last;
	struct digest_walk digest;

	struct ahead hint; /* about the command that is executed */
	uint32_t source_place; /* of the last event's source; AHEAD_NOTHING: none yet */
	struct step_buffer *out;
	uint8_t *at; /* end of the open step */
	enum cause_kind step_cause;
	uint8_t step_flags;
	bool step_open;
	struct scratch *scratch;
};

/* ---- step.c: a command's entries, applied and encoded at once ---- */
static inline void
step_begin(struct engine *e, enum cause_kind cause, struct bytes ref, struct bytes reason)
{
	struct step_buffer *out = e->out;
	ensure(!e->step_open && out != NULL && out->size - out->used >= STEP_ROOM);
	e->step_open = true;
	e->step_cause = cause;
	e->step_flags = (uint8_t)((ref.n ? 1 : 0) | (reason.n ? 2 : 0));
	e->seq++;
	if (out->steps++ == 0)
		out->first_seq = e->seq;
	e->at = out->bytes + out->used + STEP_HEAD_BYTES;
	if (ref.n)
		e->at = string_put(e->at, ref);
	if (reason.n)
		e->at = string_put(e->at, reason);
}

static inline void
step_end(struct engine *e)
{
	struct step_buffer *out = e->out;
	uint8_t *start = out->bytes + out->used;
	ensure(e->step_open && (size_t)(e->at - start) <= out->size - out->used);
	step_end_at(start, e->step_cause, e->step_flags, e->at);
	out->used = (size_t)(e->at - out->bytes);
	e->step_open = false;
}

/* Gives the new name's id. */
uint32_t emit_name(struct engine *, enum name_table, struct bytes);
void emit_option(struct engine *, enum option, int64_t value);
void emit_group(struct engine *, const struct group_record *);
void emit_reservation(struct engine *, const struct reservation_record *);
void emit_source(struct engine *, const struct source_record *);
void emit_mark(struct engine *, const struct mark_record *);
void emit_free_id(struct engine *, const struct free_id_record *);
/* The floors that it raises, then the delta. */
void emit_delta(struct engine *, struct delta_record *);
void emit_quarantine(struct engine *, const struct quarantine_record *);

/* Changes of cells in the hand. */
void changes_forget(struct changes *); /* many of them: what slots they took */
static inline void
changes_begin(struct engine *e)
{
	struct changes *c = &e->scratch->changes;
	if (c->n > CHANGES_FEW)
		changes_forget(c);
	c->n = c->fresh_n = 0;
}
struct cell_change *change_of(struct engine *, uint32_t cell);
/* The cell of a pair; one that does not exist yet is made in the hand (room: changes_room()). */
struct cell_change *change_of_pair(struct engine *, uint32_t sku, uint32_t location);
/* The fresh ones fit into the table of cells. */
static inline bool
changes_room(const struct engine *e)
{
	uint32_t fresh_n = e->scratch->changes.fresh_n;
	return fresh_n == 0 || e->cells.max - cells_count(&e->cells) >= fresh_n;
}
void changes_emit(struct engine *); /* all that changed, in order of first touch */

/* ---- decide_*.c: judge one command on the state as it is; emit only when granted ---- */
void decide_reserve(struct engine *, const struct reserve_command *, struct result *);
void decide_settle(struct engine *, enum cause_kind, const struct settle_command *, struct result *);
void decide_extend(struct engine *, bool pin, const struct extend_command *, struct result *);
void decide_move(struct engine *, const struct move_command *, struct result *);
void decide_event(struct engine *, const struct event_command *, struct result *);
void decide_skip(struct engine *, const struct skip_command *, struct result *);
void decide_policy_cells(struct engine *, const struct policy_cells_command *, struct result *);
void decide_policy_group(struct engine *, const struct policy_group_command *, struct result *);
void decide_digest(struct engine *, const struct digest_command *, struct result *);
void decide_quarantine_drop(struct engine *, const struct quarantine_command *, struct result *);
void decide_quarantine_replay(struct engine *, const struct quarantine_command *, struct result *);
void expire_one(struct engine *, uint32_t slot);

/* ---- ahead.c: what was found for the command before its turn, or a look now ---- */
static inline void
hint_clear(struct engine *e)
{
	e->hint.name = e->hint.location_name = e->hint.cell = AHEAD_NOTHING;
	e->hint.id.n = 0;
}
/* Of one of its lines. */
static inline void
hint_names(struct engine *e, const struct ahead *a)
{
	e->hint.name = a->name;
	e->hint.location_name = a->location_name;
	e->hint.cell = a->cell;
}
static inline uint64_t
hint_id_hash(const struct engine *e, struct bytes id)
{
	const struct ahead *h = &e->hint;
	return bytes_equal(id, h->id) && id.n ? h->id_hash : index_hash(&e->reservations.index, id);
}
/* NULL: unknown. */
static inline const struct name *
hint_name(const struct names *names, uint32_t place, struct bytes wanted)
{
	if (place != AHEAD_NOTHING && bytes_equal(name_bytes(names_at(names, place)), wanted))
		return names_at(names, place);
	return names_look(names, wanted);
}
static inline const struct name *
hint_sku(const struct engine *e, struct bytes sku)
{
	return hint_name(&e->names[NAMES_SKU], e->hint.name, sku);
}
static inline const struct name *
hint_location(const struct engine *e, struct bytes location)
{
	return hint_name(&e->names[NAMES_LOCATION], e->hint.location_name, location);
}
static inline uint32_t
hint_pair(const struct engine *e, uint32_t n, uint32_t sku, uint32_t location)
{
	if (n != AHEAD_NOTHING && e->cells.at[n].sku == sku && e->cells.at[n].location == location)
		return n;
	return cells_find(&e->cells, sku, location);
}
/* The cell that a walk found or, when there was none, the SKU's first. */
static inline uint32_t
hint_first(uint32_t cell, const struct name *sku, const struct name *location)
{
	return cell == AHEAD_NOTHING && sku && location ? name_cell(sku, location->id) : cell;
}
/* view_ats() behind the names; NULL: unknown. The cell as hint_pair() takes it. */
enum view_status view_ats_named(const struct engine *, const struct name *sku, const struct name *location, uint32_t cell, int64_t *ats,
    uint64_t *seq);
static inline uint32_t
hint_cell(const struct engine *e, uint32_t sku, uint32_t location)
{
	return hint_pair(e, e->hint.cell, sku, location);
}

/* ---- shared small things ---- */
void refuse(struct result *, enum status, const char *message);
void refuse_which(struct result *, enum status, const char *which, const char *message);
static inline bool
is_group(const struct engine *e, uint32_t location)
{
	return groups_is_name(&e->groups, location);
}
/* A resolved line for an answer. */
struct result_line line_of(const struct engine *, uint32_t cell, int64_t qty);
/* D23: when the next holds of a cell (CELL_NONE: none) end, and how many units that is. */
void next_release(struct engine *, uint32_t cell, struct short_line *);
/* Within +-2^53 (D6). */
static inline bool
qty_fits(int64_t q)
{
	return q >= -QTY_CELL_MAX && q <= QTY_CELL_MAX;
}
/*
 * A delta of on_hand at an instant (D32 to D34): changes `c` unless absorbed; true: a delta is to be kept. *fits: false when the
 * quantity would leave its bounds (nothing is changed then).
 */
bool delta_apply(struct cell_change *c, int64_t qty, int64_t at, bool *fits);

#endif
