/*
 * twin_draw.h: seeded commands for runs of the engine beside its twin. Each step is drawn from (seed, step number) and from
 * what the twin knows by then, never from earlier draws, so that a failing run can be shortened by leaving steps out.
 *
 * The content of a reservation id or of an event's identity is a function of that identity and a rarely changing variant:
 * so ids that come again are mostly honest repeats, and sometimes conflicts.
 */
#ifndef HOLDFAST_TESTS_TWIN_DRAW_H
#define HOLDFAST_TESTS_TWIN_DRAW_H

#include "tests/twin.h"

struct draw_profile {
	const char *name;
	uint32_t skus, places, groups, sources, ids, owners; /* sizes of the little world */
	int64_t qty_max, ttl_max_ms; /* of holds; 0: the default ttl */
	int64_t pause_max_ms, jump_ms; /* time between batches: 0..pause_max, seldom a jump */
	int64_t at_span_ms; /* instants of events lie in the first so many ms */
	uint32_t batch; /* commands of a batch, about */
	/* weights of the kinds of commands */
	uint32_t reserve, settle, extend, pin, move, event, skip, policy, group, quarantine;
	/* of 100 */
	uint32_t partial, owned, shuffled, repeated, odd; /* odd: conflicts, defects, wild numbers, far futures */
	uint32_t counts; /* of 100 events */
	uint32_t fresh; /* of 100 reserves: an id never used before */
	uint32_t whole; /* of 100 settlements: on the whole; below 10 the others take one unit each */
	struct engine_limits limits;
	struct engine_options options;
	bool create_off_later;
	bool long_names; /* ids, refs and owners of up to 64 bytes among the short ones */
};

#define DRAW_ARENA 16384
struct draw {
	const struct draw_profile *profile;
	struct twin *twin; /* borrowed: what is known by now */
	uint64_t seed, state;
	uint8_t arena[DRAW_ARENA];
	size_t arena_n;
	struct asked_line lines[LINES_ASKED_MAX];
	struct policy_cell cells[8];
	struct bytes members[GROUP_MEMBERS_MAX];
	struct event_command event; /* of a quarantine replay */
};

/* The identity of a drawn event, from which it can be drawn again; also its raw bytes. */
struct draw_event_key {
	uint64_t n;
	uint32_t source, id, variant;
};

/* Starts step `step` of the seed. */
void draw_begin(struct draw *, uint64_t step);
uint64_t draw_random(struct draw *, uint64_t below); /* 0..below-1; 0 when below is 0 */
bool draw_percent(struct draw *, uint32_t of_100);
/* The instant of the next batch, given the last one. */
int64_t draw_now(struct draw *, int64_t last);
void draw_command(struct draw *, struct command *);
void draw_event(struct draw *, const struct draw_event_key *, struct event_command *);
struct bytes draw_name(struct draw *, char letter, uint64_t number);

/* One line for people: what the command asks. */
void draw_print(const struct command *, char *text, size_t n);

#define DRAW_EPOCH INT64_C(1700000000000)

#endif
