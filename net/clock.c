/* clock.c: see clock.h. */
#include "net/clock.h"

#include <time.h>

int64_t
clock_wall_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t
clock_steady_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void
clock_init(struct clock *c, int64_t floor_ms)
{
	int64_t wall = clock_wall_ms();
	c->ahead_ms = (wall > floor_ms ? wall : floor_ms) - clock_steady_ms();
}

int64_t
clock_now_ms(struct clock *c)
{
	int64_t steady = clock_steady_ms(), wall = clock_wall_ms();
	if (wall - steady > c->ahead_ms)
		c->ahead_ms = wall - steady;
	return steady + c->ahead_ms;
}
