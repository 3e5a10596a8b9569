/*
 * overload.h: the parts of `make prove-overload`: overload.c offers the load, overload_fill.c puts there what it is about, overload_judge.c
 * prints what was seen and judges it (O1..O4, at the top of overload.c). Functions begin with overload_.
 */
#ifndef HOLDFAST_BENCH_OVERLOAD_H
#define HOLDFAST_BENCH_OVERLOAD_H

#include "bench/histogram.h"
#include "net/codec_write.h"

#define CELLS     10000
#define PASS_MAX  60000 /* calls that must pass, and holds for them */
#define WINDOW_MS 50
#define NORMAL_MS 1000 /* O4 */
#define WINDOWS   1200 /* of the longest phase */

struct window {
	uint64_t refused;
	struct histogram waited;
};

struct phase {
	const char *name;
	double times; /* of the capacity; 0: closed loop */
	struct window *windows; /* WINDOWS of them; NULL: not looked at */
	double seconds;
	int64_t start_ns;
	/* what came of it */
	uint64_t due, sent, taken, refused, without_time, wrong, passed, passed_not;
	double took;
	struct histogram waited, pass_waited;
};

/* Half the load, ten times the load, half of it again. */
struct round {
	struct phase half, ten, after;
	double normal_ms; /* O4; from overload_normal_ms() once all is answered */
};
#define ROUNDS_MAX 15

static inline void
put_key(struct buffer *to, const char *key, int64_t value)
{
	put_text(to, key);
	put_int(to, value);
}

/*
 * Over a connection that blocks: units of each of CELLS cells (S00000..., at L), and a hold of one unit of S00001 for each "p-N", N below
 * PASS_MAX. NULL, or what failed.
 */
const char *overload_fill(int fd);

void overload_row_print(const struct phase *);
/* The p99 of what was due NORMAL_MS after the overload and later; a refused one is later than any bound. */
double overload_normal_ms(const struct phase *after);
/* Prints each of O1 to O4, and whether it is so. True: all are. */
bool overload_judge(const struct round *, int n, double capacity);
/* A line of the verdict. Returns good. */
bool overload_verdict(const char *text, bool good);

#endif
