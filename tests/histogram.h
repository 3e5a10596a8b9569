/*
 * histogram.h: how long things took, log-linear: HISTOGRAM_SUB buckets for each power of two nanoseconds, so no value is off by
 * more than one part in HISTOGRAM_SUB. Plain memory; zeroed is empty. One writer at a time.
 */
#ifndef HOLDFAST_TESTS_HISTOGRAM_H
#define HOLDFAST_TESTS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 6
#define HISTOGRAM_SUB (1 << HISTOGRAM_SUB_BITS)
#define HISTOGRAM_BUCKETS ((64 - HISTOGRAM_SUB_BITS) * HISTOGRAM_SUB)

struct histogram {
	uint64_t n;
	uint64_t bucket[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *, int64_t ns); /* below 0: 0 */
/* The value below which the share (0 to 1) of all lies, in milliseconds; 0 when empty. */
double histogram_ms(const struct histogram *, double share);

#endif
