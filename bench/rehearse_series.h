/*
 * rehearse_series.h: what was seen over time: counts and latencies per interval, and of the whole run. Functions begin with series_.
 *
 * S1: intervals count from the curve's beginning. What is before it (warm-up) counts nowhere; what is behind the last interval counts in
 *     the last.
 * S2: latency belongs to the intended moment of its request; answers, grants and refusals to the moment of the answer.
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_SERIES_H
#define HOLDFAST_BENCH_REHEARSE_SERIES_H

#include "bench/histogram.h"
#include "core/base.h"

#define WATCHED_MAX 5 /* cells whose ATS is asked for in each interval */
#define INTERVALS_WANTED 120

enum work { WORK_HOLD, WORK_READ, WORK_SETTLE, WORK_TILL, WORKS };
extern const char *const work_name[WORKS];

/* A histogram that also knows its sum and its most. */
struct spread {
	struct histogram histogram;
	uint64_t sum_ns, max_ns;
};

struct interval {
	uint32_t arrivals, asked, answered, granted, in_flight;
	uint32_t refused[STATUS_COUNT + 1]; /* by code; the last: no known one */
	bool sampled; /* what follows is there */
	double server_cpu, gate_cpu, client_cpu; /* processors; below 0: not known */
	int64_t server_rss_bytes, gate_rss_bytes; /* -1: not known */
	bool looked;
	int64_t left[WATCHED_MAX];
};

struct series {
	int64_t interval_ns;
	uint32_t n, used; /* used: 1 behind the last one in which something was */
	struct interval *at;
	struct spread *waited[WORKS], *late; /* of each interval */
	struct spread all_waited[WORKS], all_service[WORKS], all_late;
};

/* Intervals that fit a run of so long, and of so much more while answers come. 0, or -1: no memory. */
int series_init(struct series *, int64_t duration_ns, int64_t more_ns);
void series_fini(struct series *);
/* The interval of an instant since the curve's beginning; NULL: before it. */
struct interval *series_at(struct series *, int64_t ns);

/* A request was written at sent_ns that was intended at due_ns. */
void series_asked(struct series *, int64_t due_ns, int64_t sent_ns);
/* It was answered. */
void series_answered(struct series *, enum work, int64_t due_ns, int64_t sent_ns, int64_t now_ns);

void spread_add(struct spread *, int64_t ns);

#endif
