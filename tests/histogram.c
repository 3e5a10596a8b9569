/* histogram.c: see histogram.h. */
#include "tests/histogram.h"

static uint32_t
bucket_of(uint64_t ns)
{
	if (ns < HISTOGRAM_SUB)
		return (uint32_t)ns;
	int shift = 63 - __builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
	return (uint32_t)((shift + 1) * HISTOGRAM_SUB + (int)((ns >> shift) - HISTOGRAM_SUB));
}

static double
bucket_ms(uint32_t bucket)
{
	if (bucket < HISTOGRAM_SUB)
		return bucket / 1e6;
	uint32_t shift = bucket / HISTOGRAM_SUB - 1;
	return (double)((uint64_t)(bucket % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) / 1e6;
}

void
histogram_add(struct histogram *h, int64_t ns)
{
	h->n++;
	h->bucket[bucket_of(ns > 0 ? (uint64_t)ns : 0)]++;
}

double
histogram_ms(const struct histogram *h, double share)
{
	uint64_t below = 0, target = (uint64_t)((double)h->n * share);
	uint32_t i = 0;
	while (i < HISTOGRAM_BUCKETS - 1 && (below += h->bucket[i]) <= target)
		i++;
	return h->n ? bucket_ms(i) : 0;
}
