/*
 * rehearse_curve.h: when who comes. A curve is a rate over time with a given number of arrivals; the instants drawn from it are those of a
 * Poisson process that had that number. Functions begin with curve_.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_CURVE_H
#define HOLDFAST_BENCH_REHEARSE_CURVE_H

#include "bench/rehearse_scenario.h"

/* The rate at `at` (0 to 1 of the duration), in mean rates. */
double curve_rate(const struct scenario *, double at);
/* n instants in ascending order, 0 to duration_ns, into due_ns[n]. *random: a state of random_next(). */
void curve_draw(const struct scenario *, uint64_t *random, int64_t *due_ns, uint32_t n);

/* 0 <= x < 1; splitmix64. */
static inline double
random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (double)((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

#endif
