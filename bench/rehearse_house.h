/*
 * rehearse_house.h: the server that is rehearsed: one of our own, in a temporary folder on free loopback ports, or a given one. Stock is put
 * there before a run; at the end it is asked for everything that the judge compares. Functions begin with house_.
 *
 * H1: a server of our own is fresh for each run and gone after it, with its folder. A given one keeps what was done: names are stamped, so
 *     that runs do not meet.
 * H2: what is found was there at one instant: no hold ended while it was read.
 *
 * One thread.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_HOUSE_H
#define HOLDFAST_BENCH_REHEARSE_HOUSE_H

#include "bench/rehearse_judge.h"
#include "bench/rehearse_play.h"
#include "tests/spawn.h"

#define HOUSE_ARGUMENTS 24

struct house {
	bool own;
	struct server server;
	struct target target;
	char version[64];
	double sync_ms[3]; /* of its disk, before a run: p50, p99, max; below 0: not known */
	const char *arguments[HOUSE_ARGUMENTS]; /* of a server of our own */
	uint32_t arguments_n;
	char loops[24], connections[24], reservations[24], extra_lines[24];
};

/* given: "HOST:PORT" of the server, and of its gate (or NULL); server NULL: one of our own is started. -1: *why. */
int house_open(struct house *, const struct scenario *, const char *server, const char *events, struct why *);
void house_close(struct house *);
/* Puts the plan's stock there. -1: *why. */
int house_stock(const struct house *, const struct plan *, struct why *);
/* Waits until no hold ends soon, and asks. *stop set: gives up (found.at_ms stays 0). -1: *why. */
int house_ask(const struct house *, const struct plan *, const volatile sig_atomic_t *stop, struct found *, struct why *);

#endif
