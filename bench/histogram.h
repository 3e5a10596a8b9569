/*
 * histogram.h: how long things took, log-linear: HISTOGRAM_SUB steps for each power of two nanoseconds, so that no figure is off by more
 * than 1.6 %. A plain struct of one thread.
 */
#ifndef HOLDFAST_BENCH_HISTOGRAM_H
#define HOLDFAST_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB (1 << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB)

struct histogram {
	uint64_t n;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline void
histogram_add(struct histogram *h, uint64_t ns)
{
	uint32_t at = (uint32_t)ns;
	if (ns >= HISTOGRAM_SUB) {
		int shift = 63 - __builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
		at = (uint32_t)((shift + 1) * HISTOGRAM_SUB + (int)((ns >> shift) - HISTOGRAM_SUB));
	}
	h->bucket[at]++;
	h->n++;
}

static inline void
histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		to->bucket[i] += from->bucket[i];
	to->n += from->n;
}

/* The least that so large a share (0 to 1) was not above, in milliseconds. */
static inline double
histogram_ms(const struct histogram *h, double share)
{
	uint64_t below = 0, target = (uint64_t)((double)h->n * share);
	uint32_t i = 0;
	while (i < HISTOGRAM_BUCKETS - 1 && (below += h->bucket[i]) <= target)
		i++;
	if (i < HISTOGRAM_SUB)
		return i / 1e6;
	uint32_t shift = i / HISTOGRAM_SUB - 1;
	return (double)((uint64_t)(i % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) / 1e6;
}

#endif
