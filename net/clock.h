/*
 * clock.h: the only place of net that asks what time it is. The functions are for any thread; a struct clock belongs to one.
 *
 * A struct clock is wall time that never runs backwards: when the machine's clock is set back, it goes on from where it was at the
 * rate of the steady one, until the wall has caught up (D11).
 */
#ifndef HOLDFAST_NET_CLOCK_H
#define HOLDFAST_NET_CLOCK_H

#include <stdint.h>

/* Milliseconds since 1970 (UTC): may jump when somebody sets the clock. */
int64_t clock_wall_ms(void);
/* Nanoseconds since some instant in the past: never falls; for waiting and measuring. */
int64_t clock_steady_ns(void);

static inline int64_t
clock_steady_ms(void)
{
	return clock_steady_ns() / 1000000;
}

struct clock {
	int64_t ahead_ms; /* wall minus steady, as far as it ever was */
};

/* The clock starts at the wall's time, or at floor_ms (the last durable stamp) when that is later. */
void clock_init(struct clock *, int64_t floor_ms);
int64_t clock_now_ms(struct clock *);

#endif
