/*
 * rehearse_replay.h: recorded orders as a plan: each transaction of the file is a shopper who reserves its lines and buys, what comes back or
 * is corrected is told by a till. The file is read by retail_day_file.c, as for the demo. Functions begin with replay_.
 *
 * One file at a time. One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_REPLAY_H
#define HOLDFAST_BENCH_REHEARSE_REPLAY_H

#include "bench/rehearse_plan.h"

/* The scenario's place for what a file does not say: everybody buys, nobody asks twice. */
void scenario_replay(struct scenario *);
/*
 * Reads the file. speed: so many times as fast as recorded; stock: opening stock in shares of the least with which nobody is refused. Sets name,
 * about, duration and numbers of the scenario. -1: *why.
 */
int replay_open(const char *path, double speed, double stock, struct scenario *, struct why *);
void replay_close(void);
/* As plan_make(): of the file that is open. */
int replay_plan(struct plan *, const struct scenario *, uint64_t seed, const char *stamp, struct why *);

#endif
