/*
 * gate_guardian.h: for a gate that dies: a small process that starts the working processes and starts each of them again, since nanomsg
 * aborts on some bytes and on some failures. They are apart so that what one door's neighbours do to it stays there: anybody can end the feed.
 *
 *   guardian ──fork──▶ worker (nanomsg, its doors)           SIGTERM, SIGINT are passed on to all, SIGUSR1 to the first
 *      ▲  └─◀─ ports, by a pipe ──┘  │                        (one for each name: the gate, the feed)
 *      └───────────── its end ───────┘   exit 0, or an end that was asked for: all end; any other: that one again, on the same ports
 *
 * U1: the guardian opens no nanomsg socket and has one thread, so that it may fork at any time.
 * U2: at most one worker of each name; it ends when the guardian ends, however that ends, also a worker that is stopped or hangs.
 * U3: only a first worker's failure to come up is the program's failure: later ones are tried again.
 */
#ifndef HOLDFAST_NET_GATE_GUARDIAN_H
#define HOLDFAST_NET_GATE_GUARDIAN_H

#include "core/base.h"

#define GUARDIAN_PAUSE_MS_MIN 20 /* before it is started again; doubled up to: */
#define GUARDIAN_PAUSE_MS_MAX 500 /* of a worker that came up: it is back within a second however often it dies */
#define GUARDIAN_PAUSE_MS_FAILED_MAX 10000 /* of one that did not */
#define GUARDIAN_YOUNG_MS 10000 /* who lived longer is started again after the shortest pause */
#define GUARDIAN_END_MS 5500 /* a worker that was asked to end has as long, then it is killed: longer than GATE_STOP_MS, shorter than GATE_END_MS_MAX */
#define GUARDIAN_LINES_BYTES 256
#define GUARDIAN_WORKERS_MAX 2

struct guardian {
	int workers_n;
	const char *names[GUARDIAN_WORKERS_MAX]; /* for people */
	/* A worker's life, in the child. It writes its ports to `said` when it is ready, and closes it. Returns its exit status. */
	int (*work)(void *context, int worker, int said);
	/* In the guardian, once: each first worker is up, these are their lines. -1: all are stopped, exit status 1. */
	int (*ready)(void *context, const char *lines);
	/* In the guardian, after ready: this worker has ended, or is there again. NULL: nobody asks. */
	void (*changed)(void *context, int worker, bool up);
	void (*say)(const char *line);
	void *context;
	int64_t end_ms; /* 0: GUARDIAN_END_MS */
	uint64_t restarts[GUARDIAN_WORKERS_MAX]; /* so far; a child sees them as they were when it was started */
};

/* Returns the exit status of the program. Blocks SIGCHLD and the three signals in the guardian. */
int gate_guardian_run(struct guardian *);

#endif
