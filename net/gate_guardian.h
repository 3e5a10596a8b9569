/*
 * gate_guardian.h: for a gate that nobody supervises: a small process that starts the working gate and starts it again when it dies, since
 * nanomsg aborts on some bytes and on some failures.
 *
 *   guardian ──fork──▶ worker (nanomsg, everything)          SIGTERM, SIGINT, SIGUSR1 are passed on
 *      ▲  └─◀─ ports, by a pipe ──┘  │
 *      └───────────── its end ───────┘   exit 0, or an end that was asked for: the guardian ends with it; any other: again, same ports
 *
 * U1: the guardian opens no nanomsg socket and has one thread, so that it may fork at any time.
 * U2: at most one worker; it ends when the guardian ends, however that ends.
 * U3: only the first worker's failure to come up is the program's failure: later ones are tried again.
 */
#ifndef HOLDFAST_NET_GATE_GUARDIAN_H
#define HOLDFAST_NET_GATE_GUARDIAN_H

#include "core/base.h"

#define GUARDIAN_PAUSE_MS_MIN 20 /* before it is started again; doubled up to: */
#define GUARDIAN_PAUSE_MS_MAX 500 /* of a worker that came up: it is back within a second however often it dies */
#define GUARDIAN_PAUSE_MS_FAILED_MAX 10000 /* of one that did not */
#define GUARDIAN_YOUNG_MS 10000 /* who lived longer is started again after the shortest pause */
#define GUARDIAN_LINES_BYTES 256

struct guardian {
	/* The worker's life, in the child. It writes its ports to `said` when it is ready, and closes it. Returns its exit status. */
	int (*work)(void *context, int said);
	/* In the guardian, once: the first worker has said this. -1: the worker is stopped, exit status 1. */
	int (*ready)(void *context, const char *lines);
	void (*say)(const char *line);
	void *context;
	uint64_t restarts; /* so far; the child sees its own */
};

/* Returns the exit status of the program. Blocks SIGCHLD and the three signals in the guardian. */
int gate_guardian_run(struct guardian *);

#endif
