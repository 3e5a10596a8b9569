/*
 * rehearse_judge.h: the verdict of one run, computed from the clients' own records in the plan: what was asked, what was answered, at which
 * positions. What the server says at the end (struct found) is only compared with the sums. Functions begin with judge_.
 *
 * J1: answers name positions, and positions are an order. Grants, ends and till events are put in it; a grant is good if its units were
 *     there at its place (D2).
 * J2: an expiry has no answer: its place is before the first grant whose stamp is not earlier than its instant (D19).
 * J3: a message's events take consecutive positions, the last one's is the answer's.
 * J4: what is unanswered may or may not have happened: its cells and reservations are not compared, and the run is not good.
 *
 * One thread. Nothing here asks the server.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_JUDGE_H
#define HOLDFAST_BENCH_REHEARSE_JUDGE_H

#include "bench/rehearse_plan.h"

/* What the server said at the end, all of it at an instant that no hold ended at. */
struct found {
	int64_t at_ms; /* wall; 0: it was not asked */
	struct found_cell { int64_t on_hand, reserved, committed; } *cells; /* of the plan */
	uint8_t *states; /* of the plan's shoppers: enum shopper_state; SHOPPER_TO_COME: it knows none, TOO_LATE: expired */
	struct found_till { int64_t contiguous, highest; } *tills;
};
void found_fini(struct found *);

/* A cell by the judge's sums: units, and shoppers where it says so. */
struct cell_sum {
	int64_t stock, on_hand, held, committed, bought, till_sold, returned, fulfilled, released, expired;
	int64_t refused_shoppers, refused_units;
	int64_t sold_out_ns; /* when the ATS first was 0; -1: never */
	bool unsure; /* J4 */
};

struct fairness {
	uint64_t granted, passed_over, unexplained;
	double out_of_order_share, worst_ms;
};
struct lost_sales {
	uint64_t shoppers;
	int64_t units, came_back, unsold_units;
};

struct verdict {
	uint64_t oversold, lost, doubled, unanswered, wrong;
	/* what was looked at */
	uint64_t grants, cells, reservations, tills, events;
	bool compared; /* with the server's end */
	uint64_t expired_unused;
	struct fairness fairness;
	struct lost_sales lost_sales;
	struct cell_sum *sums; /* of the plan's cells */
};

/* 0, or -1: no memory, *why. */
int judge_run(const struct plan *, const struct found *, uint64_t unanswered, struct verdict *, struct why *);
void judge_fini(struct verdict *);
bool judge_good(const struct verdict *);
/* When the hold of a shopper counts no more: an instant below at_ms, or 0: it does not end by time before that. */
int64_t judge_expired_ms(const struct shopper *, int64_t at_ms);

/* rehearse_fair.c: fairness and lost sales, of the cells that ran out. 0, or -1: no memory. */
int judge_fairness(const struct plan *, struct verdict *);

#endif
