/*
 * twin_inner.h: the lists of the naive twin, shared by its files twin*.c and by nobody else. Everything is found by walking;
 * nothing is ever kept twice, so that there is no second copy to disagree with.
 */
#ifndef HOLDFAST_TESTS_TWIN_INNER_H
#define HOLDFAST_TESTS_TWIN_INNER_H

#include "tests/twin.h"

#include <stdlib.h>

#define NONE UINT32_MAX

struct text {
	uint8_t at[NAME_BYTES_MAX];
	uint32_t n;
};

/* A change of on hand or unsellable. */
struct twin_delta {
	int64_t at, arrived, qty, unsellable;
	uint64_t number; /* in the order of the kept ones; UINT64_MAX: absorbed or no change of on hand, never kept */
};

struct twin_count {
	int64_t as_of, qty;
	struct text source, id;
	uint64_t n;
};

struct twin_cell {
	uint32_t sku, place;
	int64_t safety_stock, oversell_limit, last_event_at;
	struct twin_delta *deltas;
	uint32_t deltas_n, deltas_cap;
	struct twin_count *counts; /* every accepted one */
	uint32_t counts_n, counts_cap;
};

struct twin_line {
	uint32_t sku, place;
	int64_t qty, held, committed, fulfilled, released, expired, handed_over;
	uint32_t moved_to; /* index of the line that took what was left; NONE */
	int64_t moved_qty;
};

struct twin_asked {
	struct text sku, location;
	int64_t qty;
};

struct twin_moved {
	uint32_t sku, place;
	int64_t qty;
};

struct twin_ref {
	struct text ref;
	enum command_kind kind;
	struct twin_asked *asked;
	uint32_t asked_n;
	struct twin_moved *lines;
	uint32_t lines_n;
	enum reservation_state state;
	uint64_t seq;
};

struct twin_reservation {
	struct text id, channel, owner, replaces;
	bool partial, pinned;
	struct twin_asked *asked;
	uint32_t asked_n;
	int64_t *granted; /* of the first reply, per asked line */
	struct twin_line *lines;
	uint32_t lines_n, lines_cap;
	struct twin_ref *refs;
	uint32_t refs_n, refs_cap;
	int64_t created_at, expires_at, first_expires_at;
	uint64_t first_seq, seq;
	uint64_t finished; /* rank of finishing, equal ranks finished at one instant; 0: open */
};

/* What D28 calls the content of an event. */
struct twin_content {
	enum event_kind kind;
	struct text sku, location, ref, reason;
	int64_t qty, at, as_of, expected;
	bool has_expected, to_unsellable, defective;
	uint8_t *raw;
	uint32_t raw_n;
};

struct twin_mark {
	uint64_t n;
	struct twin_content content;
	enum event_outcome outcome;
	enum status status;
	uint64_t seq;
};

struct twin_source {
	struct text name;
	struct twin_mark *marks;
	uint32_t marks_n, marks_cap;
	uint64_t contiguous, highest, lost_to;
	int64_t last_at;
};

struct twin_free_id {
	struct text source, id;
	int64_t arrived;
	struct twin_content content;
};

struct twin_item {
	uint64_t number;
	enum status reason;
	int64_t at;
	uint8_t *raw;
	uint32_t raw_n;
};

struct twin_group_def {
	struct text name;
	uint32_t *members;
	uint32_t members_n;
};

struct twin_job {
	uint64_t number;
	struct text name;
	struct text *members;
	uint32_t members_n;
};

#define LIST(type, name) \
	type *name; \
	uint32_t name##_n, name##_cap
struct twin {
	struct engine_limits limits;
	struct engine_options options;
	struct twin_hints hints;
	int64_t now;
	LIST(struct text, skus);
	LIST(struct text, places);
	LIST(struct text, channels);
	LIST(struct twin_cell, cells);
	LIST(struct twin_reservation, reservations);
	LIST(struct twin_source, sources);
	LIST(struct twin_free_id, free_ids);
	LIST(struct twin_item, items);
	LIST(struct twin_group_def, groups);
	LIST(struct text, group_names); /* every name that ever was a group's, also before and after it is one (R31) */
	LIST(struct twin_job, jobs);
	uint64_t finishes, deltas_kept, items_made, jobs_made;
	/* what the next twin_note() completes */
	uint32_t note_reservation, note_old, note_source;
	uint64_t note_n;
	bool note_ref, note_first;
	/* scratch of answers */
	LIST(struct result_line, out_lines);
	LIST(struct short_line, out_shorts);
	LIST(struct line_view, out_views);
};

/* A new zeroed element at the end of a LIST. */
#define twin_add(list, n, cap) (twin_grow((void **)&(list), &(n), &(cap), sizeof *(list)), memset(&(list)[(n) - 1], 0, sizeof *(list)), &(list)[(n) - 1])
void twin_grow(void **list, uint32_t *n, uint32_t *cap, size_t size);

struct text text_of(struct bytes);
struct bytes text_bytes(const struct text *);
bool text_same(const struct text *, struct bytes);
uint32_t twin_find(const struct text *, uint32_t n, struct bytes); /* NONE: not there */

/* Cells. */
uint32_t twin_cell_find(struct twin *, uint32_t sku, uint32_t place);
uint32_t twin_cell_make(struct twin *, uint32_t sku, uint32_t place);
int64_t twin_on_hand(const struct twin_cell *);
int64_t twin_unsellable(const struct twin_cell *);
int64_t twin_reserved(const struct twin *, uint32_t sku, uint32_t place);
int64_t twin_committed(const struct twin *, uint32_t sku, uint32_t place);
int64_t twin_cell_ats(struct twin *, uint32_t sku, uint32_t place);
const struct twin_count *twin_last_count(const struct twin_cell *);
uint32_t twin_group_find(const struct twin *, struct bytes name);
/* Notes a change of on hand by qty at the instant `at`; true: it was absorbed by the last count. */
bool twin_delta(struct twin *, uint32_t cell, int64_t at, int64_t qty, int64_t unsellable, bool stock);

/* Reservations. */
uint32_t twin_reservation_find(const struct twin *, struct bytes id);
enum reservation_state twin_state(const struct twin_reservation *);
bool twin_is_open(const struct twin_reservation *);
void twin_finish_if_done(struct twin *, uint32_t reservation);
void twin_reservation_forget(struct twin *, uint32_t reservation);

/* What a command takes of the pools that reservations share: lines beyond the first, texts (owners, refs, long ids, ids of counts). */
struct twin_need {
	bool newcomer; /* a new reservation: needs a slot, too, and leaves 1/8 of a pool to what exists (R3) */
	bool text; /* may need some text */
	uint32_t lines;
	uint32_t blocks; /* of text, at most so many */
};
/* Notes every pool that is full for it. */
void twin_pools_full(struct twin *, const struct twin_need *, struct twin_result *);
/* Forgets the finished ones that give way. */
void twin_make_room(struct twin *, const struct twin_need *);
void twin_answer_line(struct twin *, uint32_t sku, uint32_t place, int64_t qty);

/* Answers. */
void twin_refuse(struct twin_result *, enum status, const char *which);
void twin_full(struct twin_result *, const char *which);

/* Commands, one function each. */
void twin_reserve(struct twin *, const struct reserve_command *, struct twin_result *);
void twin_settle(struct twin *, enum command_kind, const struct settle_command *, struct twin_result *);
void twin_extend(struct twin *, const struct extend_command *, struct twin_result *);
void twin_pin(struct twin *, const struct extend_command *, struct twin_result *);
void twin_move(struct twin *, const struct move_command *, struct twin_result *);
void twin_event(struct twin *, const struct event_command *, struct twin_result *);
void twin_skip(struct twin *, const struct skip_command *, struct twin_result *);
void twin_policy_cells(struct twin *, const struct policy_cells_command *, struct twin_result *);
void twin_policy_group(struct twin *, const struct policy_group_command *, struct twin_result *);
void twin_drop(struct twin *, const struct quarantine_command *, struct twin_result *);
void twin_replay(struct twin *, const struct quarantine_command *, struct twin_result *);

/* Event parts. */
enum twin_seen { TWIN_NEW, TWIN_DUPLICATE, TWIN_CONFLICT, TWIN_LOST, TWIN_TOO_WIDE };
enum twin_seen twin_event_seen(struct twin *, const struct event_command *);
void twin_event_mark(struct twin *, const struct event_command *, enum event_outcome, enum status);
/* Judges the event itself, identity apart, and applies it when it may be. */
void twin_event_apply(struct twin *, const struct event_command *, bool replayed, struct twin_result *);
uint32_t twin_source_find(const struct twin *, struct bytes);
void twin_sources_free(struct twin *);

#endif
