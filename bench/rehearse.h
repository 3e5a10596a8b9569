/*
 * rehearse.h: the rehearsal tool's door for its main, and its parts:
 *
 *   rehearse_scenario   what is rehearsed: a text file          rehearse_house     the server: our own or a given one; stock, the end
 *   rehearse_curve      when who comes                          rehearse_judge     the verdict by the clients' records
 *   rehearse_plan       one run: who wants what; records        rehearse_fair      who was passed over, lost sales (of the judge)
 *   rehearse_play       the loop; rehearse_take: answers        rehearse_report    the JSON object
 *   rehearse_link       connections                             rehearse_table     the same as text
 *   rehearse_talk       requests and answers as bytes           rehearse_machine   processor and memory
 *   rehearse_series     what was seen over time                 rehearse_capacity  the highest rate that keeps a p99
 *   rehearse_replay     a plan from recorded orders             rehearse           runs, one after another
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_H
#define HOLDFAST_BENCH_REHEARSE_H

#include "bench/rehearse_report.h"

struct rehearsal {
	const char *command; /* for the report */
	const struct scenario *scenario;
	const char *server, *events; /* given ones; NULL: our own */
	bool quiet; /* no progress */
	/* Makes a run's plan; NULL: plan_make(). */
	int (*make)(struct plan *, const struct scenario *, uint64_t seed, const char *stamp, struct why *);
};

/*
 * All runs of a scenario and its report. SIGINT, SIGTERM and SIGHUP end it early with what there is so far (the report says so); a second one
 * ends the program. New reference; NULL: it could not begin, *why.
 */
json_t *rehearse(const struct rehearsal *, struct why *);
/* One was asked to stop: what comes next need not begin. */
bool rehearse_stopped(void);

#endif
