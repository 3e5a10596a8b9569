/*
 * twin.h: the naive twin of the engine, written from the rules of the domain and the readings beside the core, never from
 * the core's code. It keeps lists and sums them: reserved and committed are walks over open lines, on hand is recomputed
 * from every delta and count a cell ever saw. Slow, allocating, single-threaded, and the judge of the engine in tests.
 *
 * It takes the engine's own commands and answers with the engine's own struct result, so that both can be compared field by
 * field. Four things only the engine knows are told to it: the position of a change (twin_note), which finished reservations were
 * forgotten (twin_hints.forgotten: the rules say which may be, not how many blocks a text takes), the number of a kept event
 * (twin_hints.quarantine), and whether the memory for texts was full (twin_hints.pool_full), which is believed only while nothing
 * that is finished holds enough of it.
 */
#ifndef HOLDFAST_TESTS_TWIN_H
#define HOLDFAST_TESTS_TWIN_H

#include "core/command.h"
#include "core/engine.h"
#include "core/view.h"

struct twin;

struct twin_hints {
	bool (*forgotten)(void *context, struct bytes id); /* the engine no longer knows this finished reservation */
	void *context;
	uint64_t quarantine; /* number the engine just gave; numbers only need to grow */
	const char *pool_full; /* the engine just answered capacity with this table, whose blocks the twin does not count */
};

enum twin_effect {
	TWIN_NOTHING, /* no step may be made */
	TWIN_STEP, /* exactly one step */
	TWIN_EITHER, /* the rules leave it open */
};

#define TWIN_WHICH_MAX 8
struct twin_result {
	struct result r; /* r.seq: only when an earlier answer is repeated, else 0 */
	enum twin_effect effect;
	const char *which[TWIN_WHICH_MAX]; /* capacity: every table that is full; the answer names one of them */
	uint32_t which_n;
};

struct twin *twin_new(const struct engine_limits *, const struct engine_options *);
void twin_free(struct twin *);
struct twin_hints *twin_hints(struct twin *);

void twin_begin(struct twin *, int64_t now_ms);
/* Expires every hold that is due. */
void twin_expire(struct twin *);
void twin_set_options(struct twin *, const struct engine_options *);
/* Results borrow from the twin until its next call. */
void twin_execute(struct twin *, const struct command *, struct twin_result *);
/* The position at which the engine put the change of the last execute(). */
void twin_note(struct twin *, uint64_t seq);
/* A group command whose answer comes later: judge and apply it now. `number` counts accepted group commands from 1. */
void twin_job_finish(struct twin *, uint64_t number, struct twin_result *);
void twin_job_forget(struct twin *, uint64_t number);

/* What the quantities are. False: unknown names. A group's name is a place too. */
bool twin_ats(struct twin *, struct bytes sku, struct bytes place, int64_t *ats);
bool twin_cell(struct twin *, struct bytes sku, struct bytes place, struct cell_view *);
bool twin_reservation(struct twin *, struct bytes id, struct reservation_view *);
bool twin_first_reply(struct twin *, struct bytes id, struct twin_result *);
bool twin_policy(struct twin *, struct bytes sku, struct bytes place, struct policy_view *);
int twin_group(struct twin *, struct bytes name, struct bytes *members, uint32_t most);
void twin_position(struct twin *, struct bytes source, struct position_view *);
/* known is only set for numbers whose content is still remembered. */
void twin_outcome_n(struct twin *, struct bytes source, uint64_t n, struct event_outcome_view *);
bool twin_quarantine_next(struct twin *, uint64_t after, struct quarantine_view *);

/* Names known so far, for walks over all cells; 0-based, false past the end. Places include live groups. */
bool twin_sku_at(struct twin *, uint32_t i, struct bytes *);
bool twin_place_at(struct twin *, uint32_t i, struct bytes *);
uint32_t twin_open_count(struct twin *);
uint32_t twin_kept_count(struct twin *); /* open and finished */

#endif
