/*
 * popularity.h: which of n things is asked for, when the i-th is as popular as i^-exponent (Zipf). Shares are kept cumulated: below[i] is
 * that of the things up to i, the last one 1. No state.
 */
#ifndef HOLDFAST_BENCH_POPULARITY_H
#define HOLDFAST_BENCH_POPULARITY_H

#include <math.h>
#include <stdint.h>

static inline void
popularity_make(double *below, uint32_t n, double exponent)
{
	double sum = 0;
	for (uint32_t i = 0; i < n; i++)
		below[i] = sum += pow(i + 1, -exponent);
	for (uint32_t i = 0; i < n; i++)
		below[i] /= sum;
}

/* Whose share a random number from [0, 1) is in. */
static inline uint32_t
popularity_pick(const double *below, uint32_t n, double x)
{
	uint32_t low = 0, high = n - 1;
	while (low < high) {
		uint32_t middle = (low + high) / 2;
		if (below[middle] > x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

static inline double
popularity_share(const double *below, uint32_t i)
{
	return below[i] - (i ? below[i - 1] : 0);
}

#endif
