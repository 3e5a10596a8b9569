/* rehearse_curve.c: the contract is in rehearse_curve.h. */
#include "bench/rehearse_curve.h"

#include <math.h>

#define STEPS 4096 /* of the table of the rate's sum */

/*
 * A spike opens at `peak` mean rates and falls by e each `fall` of the duration. Its mean is 1: peak * fall * (1 - e^(-1/fall)) = 1, which
 * rises with `fall`, so halving finds it.
 */
static double
spike_fall(double peak)
{
	double low = 1e-6, high = 1e6;
	for (int i = 0; i < 100; i++) {
		double middle = sqrt(low * high);
		if (peak * middle * (1 - exp(-1 / middle)) < 1)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static double
shape_rate(const struct shares *s, double at)
{
	double sum = 0;
	for (uint32_t i = 0; i < s->n; i++)
		sum += s->at[i];
	uint32_t part = (uint32_t)(at * s->n);
	return s->at[part < s->n ? part : s->n - 1] * s->n / sum;
}

double
curve_rate(const struct scenario *s, double at)
{
	switch ((enum curve)s->curve) {
	case CURVE_STEADY: return 1;
	case CURVE_RAMP: return 2 - s->peak + 2 * (s->peak - 1) * at;
	case CURVE_SPIKE: return s->peak <= 1 ? 1 : s->peak * exp(-at / spike_fall(s->peak));
	case CURVE_WAVES: return 1 + (s->peak - 1) * sin(2 * M_PI * ((double)s->waves * at - .25));
	case CURVE_SHAPE: return shape_rate(&s->shape, at);
	}
	return 1;
}

/* Where the sum of the rate reaches `share` of the whole; *at is where it was for a smaller share. */
static double
curve_inverse(const double *sum, double share, uint32_t *at)
{
	double target = share * sum[STEPS];
	while (*at < STEPS - 1 && sum[*at + 1] <= target)
		++*at;
	double width = sum[*at + 1] - sum[*at];
	return (*at + (width > 0 ? (target - sum[*at]) / width : 0)) / STEPS;
}

void
curve_draw(const struct scenario *s, uint64_t *random, int64_t *due_ns, uint32_t n)
{
	static double sum[STEPS + 1];
	double whole = 0, so_far = 0;
	uint32_t at = 0;
	for (uint32_t i = 0; i < STEPS; i++)
		sum[i + 1] = sum[i] + curve_rate(s, (i + .5) / STEPS);
	/* n sorted evenly spread numbers are n sums of exponential gaps, divided by the n+1st. */
	uint64_t again = *random;
	for (uint32_t i = 0; i <= n; i++)
		whole += -log(1 - random_next(&again));
	for (uint32_t i = 0; i < n; i++) {
		so_far += -log(1 - random_next(random));
		due_ns[i] = (int64_t)(curve_inverse(sum, so_far / whole, &at) * (double)s->duration_ms * 1e6);
	}
	random_next(random);
}
