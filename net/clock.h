/*
 * clock.h: the only place of net that asks what time it is. Any thread.
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

#endif
