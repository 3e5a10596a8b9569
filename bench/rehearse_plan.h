/*
 * rehearse_plan.h: one run as a whole: who comes when and wants what, which till tells what; and beside each what became of it, the record
 * that the judge works on. The left part is made before the run (rehearse_plan.c from a scenario, rehearse_replay.c from recorded
 * orders), the part under "record" is written during it (rehearse_take.c). Functions begin with plan_.
 *
 * P1: shoppers and messages are in the order of due_ns, which counts from the curve's beginning; warm-up lies before 0.
 * P2: warm-up touches the last cell only, and nothing else does.
 * P3: a message's events are consecutive, of one till, and have consecutive numbers.
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_PLAN_H
#define HOLDFAST_BENCH_REHEARSE_PLAN_H

#include "bench/rehearse_scenario.h"

#define PLAN_NAME_BYTES 48 /* of a SKU or a location of ours */

enum intent { INTENT_COMMIT, INTENT_FULFIL, INTENT_CANCEL, INTENT_ABANDON };
enum shopper_state {
	SHOPPER_TO_COME,
	SHOPPER_ASKED, /* for a hold (or a look), and not answered */
	SHOPPER_LOOKED,
	SHOPPER_REFUSED, /* for good, by `reason` */
	SHOPPER_HELD, /* also when it was abandoned: only time ends it */
	SHOPPER_COMMITTED,
	SHOPPER_FULFILLED,
	SHOPPER_RELEASED,
	SHOPPER_TOO_LATE, /* wanted to commit or release and was told `expired` */
};

struct shopper {
	int64_t due_ns;
	uint32_t line; /* in plan.lines; a shopper who looks has none */
	uint32_t think_ms;
	uint8_t lines_n, intent;
	bool looks, twice, warm;
	/* record */
	uint8_t state, reason, failing_line; /* of lines_n */
	uint8_t grants_n; /* answers to reserve without `again`: more than one is a doubled hold */
	uint8_t waiting; /* answers due */
	bool wrong; /* was answered something that the rules do not allow */
	int64_t asked_ns, answered_ns, ended_ns; /* since the curve's beginning: first written; hold answered; fulfilled or released */
	uint64_t granted_seq, ended_seq;
	int64_t expires_at; /* wall, ms */
};

struct plan_line {
	uint32_t cell;
	int32_t qty;
};

struct plan_cell {
	uint32_t sku, location;
	int64_t stock;
};

enum till_kind { TILL_SALE, TILL_RETURN, TILL_RECEIPT, TILL_KINDS };
struct till_event {
	uint32_t cell;
	int32_t qty;
	uint64_t n; /* of its till, from 1 */
	uint8_t kind;
	/* record */
	uint8_t applied_n; /* answers "applied": more than one is a doubled event */
	bool wrong;
	uint64_t seq;
};

struct till_message {
	int64_t due_ns;
	uint32_t first, events_n, till;
	bool twice;
	/* record */
	int64_t answered_ns; /* 0: not */
};

struct plan {
	const struct scenario *scenario;
	int64_t duration_ns;
	int64_t begun_ms, ended_ms; /* record: the wall's time at the curve's beginning, and when nothing more was sent; 0: not yet */
	char stamp[16]; /* stands before every name: tells one run on a server from another; "" on one of our own */
	char (*skus)[PLAN_NAME_BYTES], (*locations)[PLAN_NAME_BYTES];
	uint32_t skus_n, locations_n, cells_n, shoppers_n, lines_n, events_n, messages_n, tills_n;
	struct plan_cell *cells; /* the last one is for the warm-up */
	double *cells_below; /* cumulated popularity of cells, for looks; NULL: looks take any */
	struct shopper *shoppers;
	struct plan_line *lines;
	struct till_event *events;
	struct till_message *messages;
	uint64_t *till_last; /* per till: its last number */
};

/* From a scenario. 0, or -1 with *why (no memory). */
int plan_make(struct plan *, const struct scenario *, uint64_t seed, const char *stamp, struct why *);
void plan_fini(struct plan *);
/* A cell that somebody looks at, by popularity. */
uint32_t plan_look(const struct plan *, uint64_t *random);
/* The cells with the most units asked for or sold, most first, into cells[n]; how many there are of them. */
uint32_t plan_hottest(const struct plan *, uint32_t *cells, uint32_t n);
/* Names of things that have none in the plan: into to[PLAN_NAME_BYTES]. */
void plan_hold_id(const struct plan *, uint32_t shopper, char *to);
void plan_till_name(const struct plan *, uint32_t till, char *to);

/* ---- for makers of plans ---- */
/* Room for one more in a growing array; NULL: no memory, and the array is freed. */
void *plan_grow(void *array, uint32_t used, uint32_t *room, size_t item_bytes);
/* Adds the warm-up's SKU, cell and shoppers before those that are there (P1, P2), and what the scenario says of every shopper: intent,
 * thinking, pressing twice. */
int plan_finish(struct plan *, uint64_t *random, struct why *);

#endif
