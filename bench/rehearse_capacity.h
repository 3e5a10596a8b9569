/*
 * rehearse_capacity.h: the highest rate of a scenario that keeps a p99, and what gave way first: runs of the same scenario with its arrivals
 * and its stock multiplied, doubled until it fails and halved between. Functions begin with capacity.
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_CAPACITY_H
#define HOLDFAST_BENCH_REHEARSE_CAPACITY_H

#include "bench/rehearse.h"

/*
 * A report whose one run is that of the highest rate that was kept (else of the lowest that was tried), with "capacity" (REPORT.md).
 * NULL: *why; the first step could not begin.
 */
json_t *capacity(const struct rehearsal *, double p99_ms, struct why *);

/* ---- for tests: the judgement of one step's report ---- */
/* It kept p99_ms: the p99 in time, everybody answered, hardly anybody told `overloaded`, a good verdict. */
bool capacity_kept(const json_t *report, double p99_ms);
/* What gave way in a step that did not keep it; a sentence into text[n]. */
const char *capacity_gave_way(const json_t *report, double p99_ms, char *text, size_t n);

#endif
